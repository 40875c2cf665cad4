# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 00 · Start here
#
# In one minute you enlarge a photograph with one network, measure a room with another and catch a third being sure of what it has never seen, and see where the course takes you from there.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/cnns-for-other-image-tasks/blob/main/notebooks/00_start_here.ipynb)
#
# **Budget:** 30 s on a CPU core (GPU: not measured) · 1.3 GB of memory · nothing to download
#
# **You will be able to**
#
# - run a trained super-resolution network on a real photograph, and measure what it gains;
# - run a trained depth network on a single picture, and see what it knows and what it misses;
# - show a classifier strangers, and let an alarm notice most of them;
# - tell how a lesson works: predict, run, look, move, check;
# - find the lesson for each part of the lecture.
#
# **Lecture and paper:** the opening of "CNNs for other image tasks"; SRCNN (Dong et al., TPAMI 2015); depth from one image (Eigen et al., NeurIPS 2014); ODIN (Liang et al., ICLR 2018).

# %% [markdown]
# Run the cells from top to bottom: **Shift + Enter** runs one and moves on. The first cell is the same in every lesson. It checks the installed package, seeds the random generators and picks the device.

# %%
try:
    import lessons_utils
except ModuleNotFoundError:  # on Colab: install the course, once
    get_ipython().run_line_magic(
        "pip",
        "install -q git+https://github.com/OWNER/cnns-for-other-image-tasks",
    )
    import lessons_utils

device = lessons_utils.set_up(lesson_api=1)

# %%
import matplotlib.pyplot as plt
import torch

from lessons_utils import anomaly, checkpoints, datasets, depth, plots, recipes, superres
from lessons_utils.explorers import start
from lessons_utils.scenes import rooms

# %% [markdown]
# ## A network that learnt to see sharply
#
# A convolutional network that says "cat" turns a picture into one word. This course is about networks that turn a picture into **something else**: a sharper picture, a map of distances, a warning that it has never seen such a thing.
#
# Start with the sharper picture. Below, a photograph loses eight of nine pixels: it shrinks by 3 on each side.

# %%
high = superres.crop_to_multiple(datasets.photograph("astronaut"), 3)  # (1, 3, 510, 510)
low = superres.degrade(high, 3)  # (1, 3, 510, 510) -> (1, 3, 170, 170)
print(f"truth {tuple(high.shape)}, what is left {tuple(low.shape)}")

# %% [markdown]
# Two ways back to full size. **Bicubic** interpolation draws smooth curves between the pixels that are left. **SRCNN** looks at the same bicubic picture and corrects it with three convolutions, trained on a set of 91 pictures. This face was not among them.
#
# Before you run the next cell, guess: where will you see the difference, in the skin or in the hair?

# %%
model, card = checkpoints.load("srcnn-9-5-5-x3", superres.SRCNN(9, 5, 5))
bicubic = superres.enlarge(low, 3)  # (1, 3, 170, 170) -> (1, 3, 510, 510)
sharper = superres.super_resolve(model, low, 3)  # the same size

# %%
pictures = {
    "what is left: 44 x 44 pixels": low[..., 13:57, 55:99],
    "bicubic": plots.crop(bicubic, 39, 165, 132),
    "SRCNN": plots.crop(sharper, 39, 165, 132),
    "truth: 132 x 132 pixels": plots.crop(high, 39, 165, 132),
}
plots.show(
    plots.picture_row(pictures, columns=4, width=12),
    alt="A woman's face four times: coarse pixels, bicubic and blurred, SRCNN with clearer eyes, teeth and hair, and the truth.",
)

# %% [markdown]
# The skin was smooth already: interpolation loses nothing there. Eyes, teeth and strands of hair have **edges**, and edges are what the network restores. It invents no detail that is gone: the truth is still sharper.
#
# How much is won? The literature counts in decibels (dB) on the brightness of the picture. Lesson 01 derives the number; for now: 1 dB more means 21 % less squared error.

# %%
_, upscaled, truth = superres.prepare(high, 3)
before = superres.score(upscaled, truth, 3).psnr
after = superres.score(superres.sharpen(model, upscaled), truth, 3).psnr
print(f"bicubic {before:.2f} dB -> SRCNN {after:.2f} dB   (shipped weights, this photograph)")

# %% [markdown]
# <details><summary>Is that a good result?</summary>
#
# One photograph proves little. The field measures on five agreed pictures, called Set5. There, at this scale, the authors of SRCNN reported 30.39 dB for bicubic and 32.75 dB for their network, more than any method they compared it with. Lesson 03 puts our numbers beside theirs, and says how each came about.
# </details>

# %% [markdown]
# ## A network that sees how far away things are
#
# The second task: one picture in, a **map of distances** out. No second eye, no laser. This room is rendered by the course itself, so the true distance of every pixel is known. The networks were trained on other rooms; this one they have never seen.

# %%
images, metres, _ = rooms.frames("test", 64, progress=False)  # (64, 3, 120, 160), (64, 1, 120, 160)
room = slice(63, 64)
predicted = depth.predict(recipes.load_eigen("eigen-rooms"), images[room])

# %% [markdown]
# Two networks share the work. The **coarse** one looks at the whole picture and draws a blurred guess. The **fine** one looks closely and sharpens it. Before you run the next cell: what in a single flat picture could tell how far away the wall is?

# %%
figure = plots.depth_row(
    {
        "one picture": depth.to_unit(images[room]),
        "coarse": predicted["coarse"],
        "fine": predicted["fine"],
        "truth": metres[room],
    },
    width=12,
)
plots.show(
    figure,
    alt="A rendered room with a tree in a pot and a door, and its depth three times, in metres: blurred from the coarse network, sharper from the fine one, and the truth.",
)

# %% [markdown]
# The floor rises to where it meets the wall, lines run together, and a door has the size of a door: the networks have learnt such regularities from thousands of rooms. How far off are they, on average over this room?

# %%
for name in ("mean", "coarse", "fine"):
    error = depth.measure(predicted[name], metres[room], metres[room] > 0)["abs_rel"]
    print(f"{name:6}  {100 * error:4.1f} % of the distance   (shipped weights, this room)")

# %% [markdown]
# `mean` looks at no picture at all: it always says the average of all training rooms. Every depth network has to beat it, and not all published ones did. This room is one of the better ones; lesson 07 sorts a hundred from best to worst, and goes on to real photographs.

# %% [markdown]
# ## A network that is sure of everything, and an alarm
#
# The third task starts from a classifier after all. This one tells ten kinds of small photographs apart, and is right on most that it has not seen before:

# %%
classifier, record = checkpoints.load("cifar10-compact", recipes.network("cifar10-compact"))
print(", ".join(anomaly.CIFAR10_CLASSES))
print(f"right on {100 * record.metrics['test']['accuracy']:.1f} % of CIFAR-10's test part (card)")

# %% [markdown]
# Show it a cat, and then what is on no list: pieces of photographs with a cup of coffee, a rocket, an astronaut. It has no word for "none of these". **Predict:** how sure will it be?

# %%
cat = superres.degrade(plots.crop(datasets.photograph("cat"), 6, 80, 288), 9)  # (1, 3, 32, 32)
strangers = datasets.photograph_crops(48).float() / 255  # (48, 3, 32, 32)
pictures = torch.cat([cat.clamp(0, 1), strangers])
probability, named = anomaly.temperature_softmax(anomaly.classify(classifier, pictures)).max(dim=1)

# %% [markdown]
# The alarm that the last lessons build is called **ODIN**. It divides the network's outputs by a large number, nudges each picture a little, and looks how sure the network is then. Where to draw the line is set with known pictures alone: 95 of 100 must pass.

# %%
scores = anomaly.odin_scores(classifier, pictures)
bank = anomaly.load_bank("cifar10-compact")  # what the network said of known pictures
line = anomaly.threshold_at_tpr(bank.odin("cifar10-test", anomaly.TEMPERATURE, anomaly.EPSILON))

# %%
titles = [
    f"{anomaly.CIFAR10_CLASSES[name]}, {100 * sure:.0f} %\n{'passes' if score >= line else 'ALARM'}"
    for name, sure, score in zip(named, probability, scores, strict=True)
]
figure, row = plt.subplots(1, 8, figsize=(12, 2.2), layout="constrained")
for axes, number in zip(row, (0, 34, 30, 27, 41, 23, 6, 16), strict=True):
    plots.draw_picture(axes, pictures[number], titles[number])
plots.show(
    figure,
    alt="Eight small pictures with the network's answer: a cat, named cat; then two coffee cups, rockets, a spacesuit, a mast, wood and a motorcycle, all named as one of ten classes, most with over 80 per cent; an alarm under most of them.",
)

# %% [markdown]
# A cup of coffee is a cat, and a rocket is a ship: the network compares ten answers with each other, and one of them always wins. (The eight are chosen for you to see both; now count all.)

# %%
plain = anomaly.threshold_at_tpr(bank.baseline("cifar10-test"))
print("shipped weights; both lines let 95 % of CIFAR-10's test images pass (score bank)")
print(f"plain probability: {(probability[1:] >= plain).sum()} of 48 strangers pass")
print(f"ODIN:              {(scores[1:] >= line).sum()} of 48 strangers pass")

# %% [markdown]
# No alarm is perfect, and there are strangers on which this one fails altogether. Lessons 11 to 14 build it, and say which.

# %% [markdown]
# ## Move something
#
# Most lessons have an **explorer**: controls above a picture that follows them. Click a control, or reach it with the Tab key and move it with the arrow keys.
#
# **Question:** at which scale does SRCNN gain the most over bicubic, and is it the same for every photograph? Guess before you move the slider.

# %% tags=["explorer"]
start.enlarge_photographs()

# %% [markdown]
# <details><summary>Answer</summary>
#
# The gain is largest at x2 for most pictures, and shrinks at x4: the more pixels are gone, the less the remaining ones say about them. How large it is depends on the picture: many clean edges, much to win; fur and foam, little.
# </details>

# %% [markdown]
# ## How a lesson works
#
# | you see | do this |
# |---|---|
# | a question before a cell | answer it in your head first; predictions make the surprise stick |
# | code | change a number and run the cell again; nothing can break that "Restart kernel" does not mend |
# | an explorer with a question | move until you can answer it |
# | **Paper versus ours** | the published number beside ours, and why they differ |
# | **What goes wrong in practice** | mistakes that people really made, run for you |
# | a cell with `measure_live = False` | it needs a data set we may not ship; set it to `True` if you have it or may download it |
#
# Long trainings are done as on a cooking show: you train a little, then we bring out the dish that was prepared earlier and name the command that cooked it. Each network comes with a card:

# %%
print("trained by:", card.command)
print("trained on:", card.training_data)
print(f"computing time: {card.cpu_seconds / 60:.0f} minutes on one CPU core")

# %% [markdown]
# ## Is this machine ready?
#
# The doctor checks what the lessons need. The same from a terminal: `python -m lessons_utils doctor`.

# %% tags=["nbval-ignore-output"]
from lessons_utils.__main__ import main

problems = main(["doctor"])

# %% [markdown]
# ## From lecture to lesson
#
# | in the lecture | lesson | the idea |
# |---|---|---|
# | Do you see a difference? | [01 · Resolution and PSNR](01_resolution_and_psnr.ipynb) | what is lost when a picture shrinks, and how the loss is measured |
# | Super-resolution: SRCNN, its layers | [02 · SRCNN layer by layer](02_srcnn_layers.ipynb) | three convolutions as what they are: patches, a small network per pixel, averaging |
# | Super-resolution: training and results | [03 · Training SRCNN](03_srcnn_training.ipynb) | a live minute of training, then the paper's table beside ours |
# | Super-resolution: filters and feature maps | [04 · Inside SRCNN](04_inside_srcnn.ipynb) | what the filters learnt, colour, your own photo, what came after |
# | Depth from images: two eyes and one | [05 · Depth from one image](05_depth_from_one_image.ipynb) | stereo, the missing scale, and how an error of depth is measured |
# | Depth from images: the coarse network | [06 · Coarse depth](06_coarse_depth.ipynb) | a network that sees the whole picture; the scale-invariant loss |
# | Depth from images: the fine network | [07 · Fine depth](07_fine_depth.ipynb) | edges for the coarse map; real photographs |
# | Depth from video: a camera that moves | [08 · Rigid flow](08_rigid_flow.ipynb) | depth and camera motion become flow; both found from pictures alone |
# | Depth from video: GeoNet, what stands still | [09 · GeoNet: the static scene](09_geonet_static_scene.ipynb) | depth and pose learnt without a label |
# | Depth from video: GeoNet, what moves | [10 · GeoNet: moving objects](10_geonet_moving_objects.ipynb) | residual flow, occlusions, shiny surfaces |
# | Anomaly detection: which one does not belong? | [11 · The overconfident softmax](11_overconfident_softmax.ipynb) | why a softmax must be sure; the first alarm, and its false alarms |
# | Anomaly detection: ODIN, the temperature | [12 · Temperature](12_temperature_softmax.ipynb) | one number that parts the known from the unknown |
# | Anomaly detection: ODIN, the perturbation | [13 · Input perturbation](13_input_perturbation.ipynb) | a step too small to see, which known pictures answer to |
# | Anomaly detection: ODIN, the results | [14 · The ODIN detector](14_odin_detector.ipynb) | tuned honestly, the paper's table beside ours, and its limits |
# | The three readings at the end | [15 · Where next](15_where_next.ipynb) | what they would say today; four projects of your own |
#
# You need Python, and you should know what a convolution and gradient descent are. You do not need a GPU.

# %% [markdown]
# ## In three lines
#
# - A small convolutional network turns a blurred enlargement into a sharper one; a larger one turns a picture into distances; a classifier is sure of everything until an alarm guards it.
# - The gain is measured in dB, in per cent of the distance, in strangers that pass; lessons 01, 05 and 11 take the protocols apart.
# - Every number in this course says where it comes from: live, shipped weights, or a paper.
#
# **Next:** [01 · Resolution and PSNR](01_resolution_and_psnr.ipynb)
