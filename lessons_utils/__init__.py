"""The stage crew of the course "CNNs for other image tasks".

What a lesson teaches stands in its cells; what it needs but does not teach stands here. The rooms,
from the ground up (each imports only rooms below it):

0. `runtime`: device, seeds, folders, the set-up call of every lesson.
1. `datasets`, `scenes`: every picture that enters, photographed or rendered.
2. `superres`, `depth`, `motion`, `anomaly`: the finished methods of lessons 01 to 04, of 05 to 07,
   and of the lessons on depth from video and on anomaly detection that are to come.
3. `plots`, `training`, `checkpoints`: figures, the training loop, weights with their provenance.
4. `explorers`, `recipes`: widgets that a learner moves; how each shipped network was trained.
5. `__main__`, `authoring`: the command line of users, and that of whoever writes lessons.

`nbval_close` stands apart: a pytest plugin that compares the outputs of lessons.
"""

from lessons_utils.runtime import set_up, version

__all__ = ["set_up"]
__version__ = version()
