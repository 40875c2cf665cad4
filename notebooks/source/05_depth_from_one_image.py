# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 · Depth from one image
#
# What one picture can say about depth, what it cannot, and eight numbers that tell a good depth map from a bad one. You need all three before a network may guess.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/cnns-for-other-image-tasks/blob/main/notebooks/05_depth_from_one_image.ipynb)
#
# **Budget:** 45 s on a CPU core (GPU: not measured) · 1.5 GB of memory · nothing to download
#
# **You will be able to**
#
# - turn the shift between two pictures into metres, and say where matching must fail;
# - build two worlds of different size whose pictures are the same, and say what follows for every network of lessons 06 and 07;
# - compute the eight depth metrics by hand, and say which mistakes each of them sees;
# - beat no one: measure the baseline that never looks at the picture, and know why it stays in every table.
#
# **Lecture and paper.** The lecture's slides on layers of depth and on stereo; Eigen, Puhrsch, Fergus, *Depth Map Prediction from a Single Image using a Multi-Scale Deep Network* (NeurIPS 2014), sections 1, 3.2 and 4, and the column "Mean" of its tables.

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
import math

import numpy as np
import torch
import torch.nn.functional as F

from lessons_utils import datasets, depth, plots
from lessons_utils.explorers import depth_errors, stereo
from lessons_utils.scenes import raycaster, rooms, textures

# %% [markdown]
# ## 1. Layers of depth
#
# This room does not exist. It is **rendered**: the course has a small ray caster that builds furnished rooms from a number and follows one ray through each pixel. Two things make such rooms useful: the depth of every pixel is known exactly, and there is nothing to download.

# %%
frame = rooms.sample_frame(seed=1, height=240, width=320)
image = torch.from_numpy(frame.rgb).permute(2, 0, 1)[None]  # (240, 320, 3) -> (1, 3, 240, 320)
z = torch.from_numpy(frame.depth)[None, None]  # (1, 1, 240, 320), metres

# %%
alt = "A room with a desk, a chair, a plant in front and a door at the far end."
plots.show(plots.picture_row({"a rendered room": image}, width=6), alt=alt)

# %% [markdown]
# **Your guess first.** How far away is the plant in front? And the door?

# %%
for name in ("plant", "door"):
    numbers = [number for number, called in enumerate(frame.names) if called == name]
    there = torch.from_numpy(np.isin(frame.instances, numbers))
    print(f"the {name} is {z[0, 0][there].median():.1f} m away")

# %% [markdown]
# If you came near, then without a second picture or a ruler. Keep that in mind for section 3.
#
# Here is the depth of every pixel, and then the same room sliced like the street on the lecture's slide: near, middle, far. **A depth map is no more than this, with as many slices as you like.**

# %%
figure = plots.depth_row({"a rendered room": image, "its depth": z}, width=11)
alt = "The room, and beside it its depth map: dark near, bright far."
plots.show(figure, alt=alt)

# %%
bands = depth_errors.layers(image, z, edges=(2.5, 4.0))
alt = "The room in three slices: plant and near floor; desk, chairs and side walls; the far wall with the door."
plots.show(plots.picture_row(bands, width=13), alt=alt)

# %% [markdown]
# ### Depth is not distance
#
# In this course, as in the literature, depth is the **z-depth**: how far a point lies *ahead*, along the optical axis. The length of the ray to it is another number. A pixel at column $u$, row $v$ looks in the direction $\left(\frac{u - c_x}{f}, \frac{v - c_y}{f}, 1\right)$; here $f$ is the focal length in pixels and $(c_x, c_y)$ the pixel in the middle. So
#
# $$\text{ray length} = z \cdot \sqrt{1 + \left(\tfrac{u - c_x}{f}\right)^2 + \left(\tfrac{v - c_y}{f}\right)^2}$$
#
# **Predict.** You face a flat wall squarely, from 3 m. What is its depth in the corner of the picture, and how long is the ray to it?

# %%
f, c_x, c_y = frame.K[0, 0], frame.K[0, 2], frame.K[1, 2]
u, v = np.meshgrid(np.arange(320), np.arange(240))
stretch = np.sqrt(1 + ((u - c_x) / f) ** 2 + ((v - c_y) / f) ** 2)
print(f"in the corner: depth {3:.2f} m, ray {3 * stretch[0, 0]:.2f} m")

# %%
wall = torch.full((1, 1, 240, 320), 3.0)
rays = wall * torch.from_numpy(stretch)
figure = plots.depth_row(
    {"depth of the wall": wall, "length of the rays": rays}, width=10, limits=(3, 3.8)
)
alt = "Left, the wall's depth: one colour. Right, the length of the rays: rings that grow from the middle to the corners."
plots.show(figure, alt=alt)

# %% [markdown]
# A flat wall has one depth. Sensors and rendering programs hand out either number, and few say which: **look at a wall before you train.** Here the two differ by up to 26 %.

# %% [markdown]
# ## 2. Two eyes
#
# Now a real pair of pictures, from the Middlebury stereo benchmark of 2014 (it ships inside scikit-image). The right camera stands 19.3 cm to the right of the left one, and both look the same way. The true depth was measured with projected light.

# %% tags=["explorer"]
pair = datasets.stereo_motorcycle()

# %%
pictures = {"left eye": pair.left, "right eye": pair.right, "true depth": pair.depth}
alt = "A red motorcycle in a garage, from two places; its true depth from 2 to 5 metres, gray where unknown."
plots.show(plots.depth_row(pictures, width=14), alt=alt)

# %% [markdown]
# Everything in the right picture lies further to the left, near things more so. Look at the lamp and at the shelf behind it. This shift along the row is the **disparity** $d$, in pixels. By similar triangles, a point at $(X, Z)$ appears at column $f X / Z$ in the left eye and, with the camera moved by the **baseline** $b$, at $f (X - b) / Z$ in the right one. The difference is
#
# $$d = \frac{f\,b}{Z} - o \qquad\Longrightarrow\qquad Z = \frac{f\,b}{d + o}$$
#
# $o$ is 0 in most sets. This pair needs it: the middle column of its right camera lies 31 pixels further to the right than that of its left one.
#
# **Predict.** If the disparity is off by one pixel, where does it hurt more: near or far?

# %%
fb = pair.focal_length * pair.baseline
print(
    f"f = {pair.focal_length:.1f} pixels, b = {pair.baseline:.3f} m, o = {pair.offset:.1f} pixels"
)
for d in (59, 58, 10, 9):
    print(f"disparity {d:2d} pixels: {fb / (d + pair.offset):.3f} m")

# %% [markdown]
# One pixel is worth 2.4 cm at the lamp and 12 cm at the wall. Depth from disparity gets worse with the **square** of the depth: the derivative of $Z$ by $d$ is $-fb/(d + o)^2 = -Z^2/(fb)$. Remember it when you read that an error at 5 m "counts less".

# %% [markdown]
# ### Which pixel is which?
#
# How do we find $d$? Take a small window around a pixel of the left picture, slide it along the *same row* of the right picture, and average the squared differences (most codes add them up, hence the name SSD):
#
# $$\text{cost}(d) = \frac{1}{n} \sum_{(i, j)\,\in\,\text{window}} \left\lVert L(r + i,\, c + j) - R(r + i,\, c + j - d) \right\rVert^2$$
#
# $L$ and $R$ are the pictures, $(r, c)$ is row and column of the pixel, $n$ the number of values in the window. The $d$ of the lowest cost wins. First one pixel, on the letters on the tank:

# %%
row, column, half = 205, 405, 4  # a window of 9 x 9 pixels


def window(picture, row, column):
    return 255 * picture[0, :, row - half : row + half + 1, column - half : column + half + 1]


here = window(pair.left, row, column)
costs = [(here - window(pair.right, row, column - d)).square().mean() for d in range(64)]
best = int(torch.stack(costs).argmin())
print(f"lowest cost at {best} pixels: {fb / (best + pair.offset):.2f} m")
print(
    f"truth:         {pair.disparity[0, 0, row, column]:.1f} pixels: {pair.depth[0, 0, row, column]:.2f} m"
)

# %% [markdown]
# Now all pixels at once. Shift the whole right picture by $d$, square the difference, average over windows; keep what beats the best so far. **Predict.** Where in the picture will this fail?


# %%
def match(left, right, reach=64, size=9):
    """(1, 3, H, W) twice -> (1, 1, H, W): for each pixel of the left picture, the best shift."""
    lowest = torch.full_like(left[:, :1], math.inf)
    disparity = torch.zeros_like(lowest)
    for d in range(reach):
        squared = (left[..., d:] - right[..., : right.shape[-1] - d]).square().sum(1, keepdim=True)
        cost = F.avg_pool2d(squared, size, stride=1, padding=size // 2)
        cost = F.pad(cost, (d, 0), value=math.inf)  # the first d columns have no partner
        disparity[cost < lowest] = d
        lowest = torch.minimum(lowest, cost)
    return disparity


# %%
matched = fb / (match(pair.left, pair.right) + pair.offset)  # (1, 1, 500, 741), metres
error = (matched - pair.depth).abs() / pair.depth.clamp(min=1)  # unknown is 0; masked below
wrong = (error > 0.1)[pair.valid].float().mean()
print(f"half of the pixels are within {100 * error[pair.valid].median():.1f} %")
print(f"more than 10 % off: {100 * wrong:.0f} % of the pixels")

# %%
limits = (2.0, 5.2)
pictures = {"left eye": pair.left, "matched by nine lines": matched, "truth": pair.depth}
alt = "The motorcycle's depth by matching windows: its shape is right, with holes of wrong depth on the white door, on the dark floor and along its left edges."
plots.show(plots.depth_row(pictures, width=14, limits=limits), alt=alt)

# %%
figure = stereo.error_figure(error, pair.valid)
alt = "Error of the matching: bright on the door, on dark floor, in strips left of wheels and fork, and on the left margin."
plots.show(figure, alt=alt)

# %% [markdown]
# Nine lines give a depth map, and its failures have names:
#
# - **No texture**: on the white door each window looks like its neighbours.
# - **Repetition**: the slats of the bench fit their neighbours nearly as well.
# - **Occlusion**: strips of the background to the *left* of a near thing are hidden from the right eye. There is no right answer to find.
# - **Out of view**: the left margin lies outside the right picture.
#
# Move the slider yourself.
#
# **Question.** For which of the six patches does the cost curve have one clear valley at the truth? For the others: would a larger window help, or a smaller one, or nothing at all?

# %% tags=["explorer"]
points = {
    "letters on the tank": (205, 405),
    "white door": (60, 232),
    "edge of a shelf": (100, 620),
    "slats of the bench": (150, 262),
    "behind the fork": (260, 490),
    "floor at the left margin": (420, 20),
}
stereo.match_a_patch(pair, points)

# %% [markdown]
# <details><summary>Answer</summary>
#
# The letters, sharply, and the shelf, bluntly. The *door* is flat noise; a window of 21 reaches more of it, and it is all white. The *shelf* has its valley at the truth, but a blunt one: along a level edge neighbouring shifts fit nearly as well, so a little noise moves the lowest point. The *slats* have two valleys, 7 and 19 pixels, nearly equally deep: a window of 21 sees enough of the bench to decide, one of 3 does not. *Behind the fork* nothing fits, because the right eye does not see that spot. On the *left margin* the true partner lies outside the picture.
#
# So even two eyes have to guess: from neighbours, from smoothness, from what things usually are. One eye has to guess everything.
# </details>

# %% [markdown]
# ## 3. One eye
#
# Here is a world made of boxes, a ball and a pot, each given by its place and size in metres. Its builder takes one number `s` and multiplies *every* length by it: things, camera, the repeats of the wallpaper, the distance of the sun. (The sun's strength is multiplied by $s^2$, since light thins with the square of the distance. Without it the large world would only be darker, as with a shorter exposure.)

# %%
THINGS = {  # centre: right, down, ahead; size; texture; its tint; metres a repeat (0: fitted)
    "floor": ((0, 0.05, 3.5), (9, 0.1, 8), "parquet", (1, 1, 1), 1.4),
    "far wall": ((0, -1.7, 6.05), (9, 3.4, 0.1), "paper_stripes", (0.7, 0.85, 0.9), 1.0),
    "left wall": ((-2.45, -1.7, 3.5), (0.1, 3.4, 8), "plaster1", (0.9, 0.85, 0.7), 2.0),
    "door": ((1.3, -1.02, 5.98), (0.92, 2.04, 0.04), "door", (0.95, 0.95, 0.92), 0),
    "picture": ((-0.6, -1.75, 5.98), (1.0, 0.7, 0.04), "picture_coffee", (1, 1, 1), 0),
    "table top": ((-0.7, -0.73, 4.2), (1.4, 0.04, 0.8), "wood1", (1, 1, 1), 1.0),
    "left leg": ((-1.35, -0.35, 3.85), (0.06, 0.71, 0.06), "wood1", (1, 1, 1), 1.0),
    "right leg": ((-0.05, -0.35, 3.85), (0.06, 0.71, 0.06), "wood1", (1, 1, 1), 1.0),
    "crate": ((0.85, -0.2, 4.3), (0.5, 0.4, 0.5), "wood0", (1, 0.8, 0.6), 0.5),
}


# %%
def build(s):
    scene = raycaster.Scene(textures.indoor(), ambient=(0.3, 0.3, 0.3))
    for name, (centre, size, texture, tint, repeat) in THINGS.items():
        made = raycaster.Material(texture, tint, s * (repeat or 1), fit=not repeat)
        scene.box(s * np.array(centre), s * np.array(size), 0.0, made, scene.thing(name))
    chess = raycaster.Material("chess", (1, 0.5, 0.4), s * 0.4)
    scene.sphere(s * np.array((0.3, -0.2, 3.4)), s * 0.2, chess, scene.thing("ball"))
    marble = raycaster.Material("marble", (0.5, 0.7, 0.9), s * 0.3)
    scene.cylinder(s * np.array((-0.8, -0.86, 4.2)), s * 0.09, s * 0.22, marble, scene.thing("pot"))
    sun = tuple(s * np.array((60, -100, -60)))  # s times as far, s² times as strong
    scene.lights.append(raycaster.Light(sun, tuple(s * s * np.array((11e3, 10.5e3, 9.5e3)))))
    return scene


# %%
def photograph(s):
    K = raycaster.intrinsics(240, 320, field_of_view=63.3)
    eye = raycaster.pose((0, -s * 1.4, 0), yaw=0, pitch=-0.15)  # s times as high, too
    return raycaster.render(build(s), raycaster.Camera(K, eye, 240, 320))


one, two = photograph(1.0), photograph(2.0)

# %% [markdown]
# **Predict.** How do the two pictures differ? And the depth maps?

# %%
difference = np.abs(one.rgb - two.rgb).max() * 255
ratio = two.depth / one.depth
print(f"largest difference of the pictures: {difference:.2f} levels of 255")
print(f"ratio of the depths: from {ratio.min():.4f} to {ratio.max():.4f}")

# %%
worlds = {"every length × 1": one, "every length × 2": two}
pictures = {name: torch.from_numpy(w.rgb).permute(2, 0, 1)[None] for name, w in worlds.items()}
for name, world in worlds.items():
    pictures[f"depth, {name[-3:]}"] = torch.from_numpy(world.depth)[None, None]
alt = "Two pictures of a room with a table, a crate, a ball and a door: no difference to be seen. Their depth maps: the second twice as deep."
plots.show(plots.depth_row(pictures, width=15), alt=alt)

# %% [markdown]
# The same picture, and each depth exactly doubled. The reason is one line: a point $(X, Y, Z)$ appears at $\left(f\frac{X}{Z}, f\frac{Y}{Z}\right)$, and $s$ cancels in $\frac{sX}{sZ}$. Film makers live on it: a model ship, filmed from near, fills the screen like a real one.
#
# So **no method, however clever, computes the scale from one picture alone.** It can only *know* something about the world. For instance that doors are about 2.04 m high. A thing of height $H$ that covers $h$ pixels, seen squarely, is at
#
# $$Z = \frac{f\,H}{h}$$
#
# **Predict.** What does this rule say for the doors of the two worlds?

# %%
for name, world in worlds.items():
    there = world.instances == world.names.index("door")
    h = there.any(axis=1).sum()  # rows that show some of it
    guess, true = world.K[0, 0] * 2.04 / h, np.median(world.depth[there])
    print(f"{name}: the door covers {h} rows, so it is {guess:.1f} m away; truth {true:.1f} m")

# %% [markdown]
# Right in the world that the rule was made for, wrong by exactly 2 in the other. A network is in the same place: it learns such rules from its training rooms, thousands of them, and never writes one down. Which ones are there to learn? Look again at the room of section 1:
#
# - **known sizes**: doors, chairs (a seat is about 45 cm high), beds;
# - **height in the picture**: on the floor, further up means further away;
# - **perspective**: edges of floor and wall that run together; texture that grows finer;
# - **occlusion**: what covers is nearer; **shading and shadows**: how surfaces turn, where things stand.
#
# Some of these are seen in a small patch: texture, shading, what covers what. But how large a door is compared with the room, where the floor ends, where edges run together: these take the whole picture. This is why lesson 06 begins with a network that sees everything at once. And because a *factor* is what one picture cannot tell, the paper's loss forgives part of it. First we need to measure.

# %% [markdown]
# ## 4. Eight numbers
#
# $y_i$ is the predicted and $y_i^*$ the true depth of pixel $i$, in metres, $i = 1 \ldots N$ over **all valid pixels of all test pictures**. Take four pixels:

# %%
truth = torch.tensor([1.0, 2.0, 4.0, 4.0])
prediction = torch.tensor([1.2, 2.0, 3.0, 8.0])

# %% [markdown]
# **Threshold accuracy.** The share of pixels whose ratio, turned so that it is at least 1, stays below $1.25$, $1.25^2 = 1.5625$ and $1.25^3 = 1.953$. The larger the better.
#
# $$\delta_k = \frac{1}{N} \left| \left\{ i : \max\left( \frac{y_i}{y_i^*}, \frac{y_i^*}{y_i} \right) < 1.25^k \right\} \right|$$
#
# **Do it in your head** before you run the cell: which of the four pass 1.25, and which never pass?

# %%
ratio = torch.maximum(prediction / truth, truth / prediction)
deltas = [(ratio < 1.25**k).float().mean().item() for k in (1, 2, 3)]
print("ratios:", [round(r, 3) for r in ratio.tolist()])
print("below 1.25, 1.25², 1.25³:", deltas)

# %% [markdown]
# **Relative errors.** Being wrong by 10 cm is bad at 1 m and good at 10 m, so divide by the truth:
#
# $$\text{abs rel} = \frac1N \sum_i \frac{|y_i - y_i^*|}{y_i^*} \qquad\qquad \text{sqr rel} = \frac1N \sum_i \frac{(y_i - y_i^*)^2}{y_i^*} \;\text{(in metres)}$$
#
# **Root mean square**, in metres and of the natural logarithm. The logarithm turns ratios into differences, $\ln y - \ln y^* = \ln (y / y^*)$: twice too far and half too near count alike.
#
# $$\text{RMSE} = \sqrt{\frac1N \sum_i (y_i - y_i^*)^2} \qquad\qquad \text{RMSE log} = \sqrt{\frac1N \sum_i (\ln y_i - \ln y_i^*)^2}$$

# %%
difference, d = prediction - truth, prediction.log() - truth.log()
abs_rel = (difference.abs() / truth).mean()  # (0.2 / 1 + 0 / 2 + 1 / 4 + 4 / 4) / 4
sqr_rel = (difference**2 / truth).mean()  # (0.04 / 1 + 0 / 2 + 1 / 4 + 16 / 4) / 4
rmse = (difference**2).mean().sqrt()
rmse_log = (d**2).mean().sqrt()
print("abs rel:", round(abs_rel.item(), 4), " sqr rel:", round(sqr_rel.item(), 4))
print("RMSE:   ", round(rmse.item(), 4), " RMSE log:", round(rmse_log.item(), 4))

# %% [markdown]
# **Scale-invariant error.** Section 3 showed that one picture does not hold its scale. So take the best factor out before measuring: with $d_i = \ln y_i - \ln y_i^*$, multiplying all $y$ by a factor adds a constant to all $d_i$. What no constant changes is their variance:
#
# $$\text{scale-inv.} = \sqrt{\; \frac1n \sum_i d_i^2 - \left( \frac1n \sum_i d_i \right)^2 \;}$$
#
# Here $n$ is the number of valid pixels of **one** picture, which has a factor of its own. The paper writes the mean without the root; its table has the root. Over a test set, the variances of all pictures are averaged before the root is taken.
#
# **Predict** it for a prediction that is exactly twice the truth.

# %%
scale_invariant = ((d**2).mean() - d.mean() ** 2).sqrt()
print("scale-invariant, these four:", round(scale_invariant.item(), 4))
twice = (2 * truth).log() - truth.log()
print("of twice the truth:", round(((twice**2).mean() - twice.mean() ** 2).item(), 4))

# %% [markdown]
# The finished form of all eight is `depth.measure` (and `depth.DepthMetrics`, which takes batch after batch). It wants pictures and a mask.

# %%
by_hand = [*deltas, abs_rel, sqr_rel, rmse, rmse_log, scale_invariant]
shape = (1, 1, 2, 2)
valid = torch.ones(shape, dtype=torch.bool)
measured = depth.measure(prediction.view(shape), truth.view(shape), valid)
for (name, value), mine in zip(measured.items(), by_hand, strict=True):
    print(f"{name:16} {value:.4f}   by hand {float(mine):.4f}")

# %% [markdown]
# ### Which error sees what?
#
# Seven ways of spoiling the depth of the room of section 1, chosen such that all have the **same abs rel, 0.100**. **Predict:** which column will be able to tell them apart best? Which row has the largest RMSE, which one a scale-invariant error of zero?

# %%
everywhere = torch.ones_like(z, dtype=torch.bool)
far, near = z > z.median(), z <= z.median()
generator = torch.Generator().manual_seed(0)
noise = torch.randn(z.shape, generator=generator)
few = torch.rand(z.shape, generator=generator) < 0.01
edges = depth.near_edges(z)


# %%
def with_abs_rel(change, goal=0.1):
    """Add so much of `change` (metres) that the mean relative error is `goal`."""
    return z + change * goal / (change.abs() / z).mean()


spoiled = {
    "all 10 % too far": with_abs_rel(z),
    "all too far by as many cm": with_abs_rel(torch.ones_like(z)),
    "the near half too far": with_abs_rel(z * near),
    "the far half too far": with_abs_rel(z * far),
    "noise at each pixel": with_abs_rel(z * noise.clamp(-3, 3)),
    "edges too far": with_abs_rel(z * edges),
    "1 % of the pixels": with_abs_rel(z * few),
}

# %%
rows = {name: depth.measure(map_, z, everywhere) for name, map_ in spoiled.items()}
figure = depth_errors.table_figure(rows)
alt = "Table of eight metrics for seven spoiled maps, all of abs rel 0.100; RMSE, RMSE log and the deltas differ strongly."
plots.show(figure, alt=alt)

# %% [markdown]
# Dark cells are large errors within a column. Read it row by row:
#
# - **sqr rel** differs most, from 0.033 to 3.683 m; RMSE from 0.326 to 4.010 m. The largest of both is the row "1 % of the pixels".
# - A wrong **factor** is invisible to the last column, and to δ as long as it stays below 1.25.
# - The **far half** costs more RMSE than the near half: RMSE counts metres, and far things have more of them.
# - **A few wild pixels** hardly move δ, and ruin RMSE and sqr rel. δ counts *how many* are wrong, the squares *how much*.
# - **Edges** are few. To cost an abs rel of 0.100 at all, they have to be more than twice too far. No column is about edges alone; lesson 07 will need a number of its own for them.
#
# No number is enough, which is why papers print eight.

# %% [markdown]
# ### Over pixels or over pictures?
#
# The paper pools: all valid pixels of all pictures go into one mean. Many codes average over the pixels of each picture first, then over pictures. **Predict** which is larger here: an easy picture with 90 valid pixels, 0.1 m off, and a hard one with 10, 2 m off.

# %%
errors = [torch.full((90,), 0.1), torch.full((10,), 2.0)]
pooled = torch.cat(errors).square().mean().sqrt()
per_picture = torch.stack([e.square().mean().sqrt() for e in errors]).mean()
print(f"RMSE pooled over pixels:     {pooled:.3f} m")
print(f"RMSE averaged over pictures: {per_picture:.3f} m")

# %% [markdown]
# Neither is wrong; they answer different questions. But numbers of the two kinds do not belong into one table.

# %% [markdown]
# ## 5. The baseline that does not look
#
# Before you believe in a network, ask what you get without one. The paper's first column, "Mean", answers **every** picture with the same depth map: the mean of all training depth maps, pixel by pixel.
#
# We render 300 rooms for training and 100 *other* rooms for testing, and hide what a depth sensor would have missed. (The frames are kept in a cache; only the first run has to render them.)

# %% tags=["nbval-ignore-output"]
train = rooms.frames("train", 300)  # images (300, 3, 120, 160), depth, valid (300, 1, 120, 160)
test = rooms.frames("test", 100)

# %%
images, true_depth, valid = test
shown = {f"test room {i}": images[i : i + 1] / 255 for i in (20, 4)}
for i in (20, 4):
    shown[f"its valid depth ({i})"] = torch.where(valid, true_depth, 0)[i : i + 1]
alt = "Two rendered test rooms and their depth maps, with gray holes where a sensor would have measured nothing."
plots.show(plots.depth_row(shown, width=14), alt=alt)


# %% [markdown]
# **Predict.** What does the mean of 300 depth maps look like? Where is it near, where far?


# %% tags=["explorer"]
def mean_depth(frames):
    """The mean over the frames of the valid depths of each pixel: (1, 1, H, W)."""
    _, depth_maps, valid = frames
    return (depth_maps * valid).sum(0, keepdim=True) / valid.sum(0, keepdim=True)


# %%
mean = mean_depth(train)  # (300, 1, 120, 160) -> (1, 1, 120, 160)
figure = plots.depth_row({"the mean of 300 rooms": mean}, width=6)
alt = "A smooth map: near at the bottom, farthest above the middle, nearer again at the sides and the top."
plots.show(figure, alt=alt)

# %% [markdown]
# Near at the bottom, where the floor is; farthest above the middle, where one looks along the room; nearer again at the side walls and the ceiling. People hold cameras upright, and rooms have floors. All that it knows is what *all* rooms share. How good is it?

# %%
baseline = depth.measure(mean.expand_as(true_depth), true_depth, valid)
print("measured now, on 100 rendered test rooms:")
print("  ".join(f"{name} {value:.3f}" for name, value in baseline.items()))

# %%
each = [
    depth.measure(mean, true_depth[i : i + 1], valid[i : i + 1])["rmse"] for i in range(len(images))
]
print(f"RMSE pooled over pixels:     {baseline['rmse']:.3f} m")
print(f"RMSE averaged over pictures: {sum(each) / len(each):.3f} m")

# %% [markdown]
# The pooled number is larger: a few long rooms have much larger errors than the rest, and squares let them speak louder. The same map, the same rooms, two numbers.

# %% [markdown]
# ## 6. Try to break it
#
# Metrics are rules of a game, and games can be played. The explorer takes 16 test rooms (of 60 × 80 pixels, to be quick) and answers each with its truth or with the mean picture of 60 training rooms, then blurs, multiplies and shifts. Eight errors appear beside those of the mean picture (orange line); the map is that of one room.
#
# **Question.** (a) Start from the truth. What is the largest factor that leaves all three δ at 1? (b) Which error minds blur most, which least? (c) Start from **the mean picture**, times 1. Improve its abs rel *without looking at any room*. What gets worse?

# %% tags=["explorer"]
few_tests = [part[..., 1::2, 1::2] for part in rooms.frames("test", 16, progress=False)]
few_trains = [part[..., 1::2, 1::2] for part in rooms.frames("train", 60, progress=False)]
depth_errors.spoil_depth_maps(*few_tests[1:], mean_depth(few_trains), shown=4)

# %% [markdown]
# <details><summary>Answer</summary>
#
# (a) 1.2; exactly 1.25 no longer counts. An abs rel of up to 0.25 can hide behind three perfect δ. (b) The scale-invariant error minds most, measured against the mean picture's; the three δ hardly notice, since edges are few. (c) Times 0.8 does it. It divides by the truth, so being too far in a near room is punished without limit, and being too near by 1 at most: whoever hedges, hedges towards near. RMSE and δ < 1.25 get worse. A network that is trained or chosen on abs rel alone learns this trick, too. That is why one number is never the table.
# </details>

# %% [markdown]
# ## 7. Paper versus ours
#
# On real rooms, NYU Depth v2, the paper prints the mean baseline, too. It needs no network and no luck, so it is the first thing to reproduce: if *this* column disagrees, the protocol does, and no later number can be trusted.

# %%
# Typed in. Paper: table 1 of Eigen et al. (2014). Ours: the mean of the 795 labelled training
# frames, on the 654 test frames, 240 x 320 pixels, in the part of the frame that papers score.
paper = (0.418, 0.711, 0.874, 0.408, 0.581, 1.244, 0.430, 0.304)
ours = (0.428, 0.718, 0.877, 0.402, 0.557, 1.207, 0.425, 0.305)
print("mean depth      rooms (live)   NYU, paper   NYU, ours (typed in)")
for name, here, published, measured in zip(baseline, baseline.values(), paper, ours, strict=True):
    print(f"{name:16} {here:11.3f} {published:12.3f} {measured:12.3f}")

# %% tags=["marked"]
# With NYU Depth v2 at hand (python -m lessons_utils fetch nyu-depth-v2: 3.0 GB): set to True, run.
measure_live = False
if measure_live:
    nyu_mean = mean_depth(datasets.nyu_depth("train"))
    _, nyu_depth, nyu_valid = datasets.nyu_depth("test")
    scored = nyu_valid & depth.eigen_crop(*nyu_depth.shape[-2:])
    nyu = depth.measure(nyu_mean.expand_as(nyu_depth), nyu_depth, scored)
    print("NYU, live: " + "  ".join(f"{name} {value:.3f}" for name, value in nyu.items()))

# %% [markdown]
# Within 5 % of the paper in every row. The rest is data: the authors trained on 120,000 raw frames of the training scenes and presumably averaged over these; we average over the 795 that carry labels. Our rendered rooms are of the same difficulty, a little easier: they stand in for NYU where nothing may be downloaded. The paper's network reached .215 abs rel, against .408 of its mean: that is what a network has to bring.

# %% [markdown]
# ## 8. What goes wrong in practice
#
# **Millimetres taken for metres.** Depth files hold whole numbers, millimetres as a rule, and some hold 5000 or 256 to the metre. **Predict:** which of the eight numbers would not notice?

# %%
rows = {"perfect": depth.measure(true_depth, true_depth, valid)}
rows["perfect, in mm"] = depth.measure(1000 * true_depth, true_depth, valid)
for name, row in rows.items():
    print(
        f"{name:15} δ {row['delta1']:.3f}  abs rel {row['abs_rel']:.3f}  RMSE {row['rmse']:.3f}  scale-inv. {row['scale_invariant']:.3f}"
    )

# %% [markdown]
# The scale-invariant error finds nothing to complain about. Read it last, never alone.
#
# **Missing depth as a tiny number.** A sensor writes 0 where it sees nothing, and the logarithm of 0 is $-\infty$. One public code "repairs" this by replacing 0 with 0.00001 instead of masking it out. $\ln 0.00001 = -11.5$, so every hole asks the network for a depth of 0.01 mm.

# %%
holes = torch.where(valid, true_depth, 1e-5)
masked = depth.measure(mean.expand_as(holes), true_depth, valid)["rmse_log"]
unmasked = depth.measure(mean.expand_as(holes), holes, torch.ones_like(valid))["rmse_log"]
print(f"missing: {100 * (~valid).float().mean():.0f} % of the pixels")
print(f"RMSE log of the mean picture: masked {masked:.3f}, with tiny numbers {unmasked:.3f}")

# %% [markdown]
# **Depth shrunk like a picture.** The network's output is smaller than the frame, so the truth has to shrink. Averaging is right for colours. **Predict** what the average of a table at 4 m and a wall at 6 m is. (The room of section 3 again.)

# %%
sharp = torch.from_numpy(one.depth)[None, None]  # (1, 1, 240, 320)
taken, averaged = sharp[..., 2::4, 2::4], F.avg_pool2d(sharp, 4)  # (1, 1, 60, 80) both
blocks = F.unfold(sharp, 4, stride=4).view(16, 60, 80)  # the 16 depths behind each pixel
for name, small in (("every fourth pixel", taken), ("averaged", averaged)):
    nearest = ((blocks - small[0]).abs() / small[0]).amin(0)
    floating = 100 * (nearest > 0.03).float().mean()
    print(f"{name:19} points with nothing within 3 %: {floating:.1f} %")

# %%
x = (torch.arange(80) * 4 + 2 - c_x) / f  # direction of each column
ROWS = slice(30, 36)  # through the table, the crate and the far wall
clouds = {
    title: torch.stack([(x * small[0, 0])[ROWS].flatten(), small[0, 0, ROWS].flatten()], 1)
    for title, small in (("every fourth pixel taken", taken), ("averaged over 4 × 4", averaged))
}
figure = depth_errors.from_above(clouds, ((-3.2, 3.2), (3, 6.5)))
names = {"table": (-0.7, 3.6), "crate": (0.86, 4.0), "far wall": (-0.8, 5.72)}
for axes in figure.axes:
    for name, place in names.items():
        axes.text(*place, name, ha="center", va="center")
    axes.text(-2.55, 4.9, "left wall", rotation=90, ha="right", va="center")
alt = "The room from above. Taken pixels: table, crate, walls, and empty space between. Averaged: points float between them."
plots.show(figure, alt=alt)

# %% [markdown]
# Between the table and the wall there is air, yet the averaged map puts points there, at every edge. (That "every fourth pixel" has 0.0 % is true by construction: each of its depths is one that was there.) **Take** depths, never average them.
#
# **Another crop.** Frames of real sensors have borders without good depth, so papers score a part of each frame, and not all the same part. The mean picture on our rooms, scored on three parts of the same frames:

# %%
lower = torch.zeros(120, 160, dtype=torch.bool)
lower[60:] = True
parts = {"whole frame": torch.ones_like(lower), "Eigen's crop": depth.eigen_crop(120, 160)}
for name, part in (parts | {"lower half": lower}).items():
    row = depth.measure(mean.expand_as(true_depth), true_depth, valid & part)
    print(
        f"{name:13} abs rel {row['abs_rel']:.3f}  RMSE {row['rmse']:.3f} m  δ {row['delta1']:.3f}"
    )

# %% [markdown]
# The same prediction, better or worse as you choose the part. State the crop, and compare only within one.

# %% [markdown]
# ## Summary
#
# - Two eyes measure depth, $Z = fb/d$, where they find partners; one eye has to know the world, because a picture does not hold its scale.
# - Eight numbers, pooled over valid pixels: shares below a ratio, relative errors, root mean squares, and one that forgives a factor. Each is blind to something.
# - The mean depth picture looks at nothing and is not bad; it stays in every table from here on.
#
# **Next:** [06 · Coarse depth](06_coarse_depth.ipynb): a network that sees the whole picture at once and guesses better.
#
# **Reading**
#
# - D. Eigen, C. Puhrsch, R. Fergus, *Depth Map Prediction from a Single Image using a Multi-Scale Deep Network*, NeurIPS 2014, [arXiv 1406.2283](https://arxiv.org/abs/1406.2283): sections 1, 3.2 and 4.
# - D. Scharstein, R. Szeliski, *A Taxonomy and Evaluation of Dense Two-Frame Stereo Correspondence Algorithms*, IJCV 2002: what better matchers do.
# - D. Scharstein et al., *High-Resolution Stereo Datasets with Subpixel-Accurate Ground Truth*, GCPR 2014: where the motorcycle comes from.
# - N. Silberman, D. Hoiem, P. Kohli, R. Fergus, *Indoor Segmentation and Support Inference from RGBD Images*, ECCV 2012: NYU Depth v2.
