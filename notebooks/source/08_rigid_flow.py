# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 08 · Rigid flow
#
# You move a camera by six numbers and compute where every pixel goes; then you turn it round, and find a pixel's depth, and the camera's motion, from nothing but two pictures that should agree.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/cnns-for-other-image-tasks/blob/main/notebooks/08_rigid_flow.ipynb)
#
# **Budget:** 30 s on a CPU core (GPU: not measured) · 1.2 GB of memory · nothing to download
#
# **You will be able to**
#
# - write unprojection, projection, rigid flow and inverse warping, and say in which direction each of them goes;
# - tell from a flow field how the camera moved, and why turning the camera teaches nothing about depth;
# - find the depth of a pixel along its epipolar line, and predict where that fails;
# - find six numbers of motion by gradient descent on a photometric error, and say from how far it can start.
#
# **Lecture and paper.** The lecture's box "rigid flow" between the depth and the pose network of GeoNet; Yin and Shi, *GeoNet: Unsupervised Learning of Dense Depth, Optical Flow and Camera Pose* (CVPR 2018), section 3.1 with equation 1, and the photometric loss of section 3.3.

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

from lessons_utils import datasets, motion, plots
from lessons_utils.explorers import epipolar, rigid
from lessons_utils.scenes import streets

# %% [markdown]
# ## 1. Two frames of a drive
#
# Lessons 05 to 07 learnt depth from pictures *with* true depth. Such truth is rare. Video is everywhere, and it holds a second source: when the camera moves, near things move faster. The lessons 08 to 10 learn from that alone. This one has no network in it. It builds what the networks will stand on.
#
# We need a street in which everything is known, so it is **rendered**: pictures, depth, the camera, and what moves. The frames have 128 × 416 pixels, as in the paper.


# %% tags=["explorer"]
def as_tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))[None]


# %% tags=["explorer"]
drive = streets.sample_sequence(streets.seeds("test", 18)[17], frames=3, height=128, width=416)
images = [as_tensor(frame.transpose(2, 0, 1)) for frame in drive.rgb]  # each (1, 3, 128, 416)
target, source = images[1], images[2]
depth = as_tensor(drive.depth[1:2])  # (1, 1, 128, 416), metres, of the target
K, T = as_tensor(drive.K), as_tensor(drive.pose(1, 2))  # (1, 3, 3) and (1, 4, 4)

# %%
plots.show(
    rigid.frames_figure(target, source, depth),
    alt="Two frames of a rendered street with cars, houses, a puddle; their difference, large at the sides; the true depth of the first.",
)

# %% [markdown]
# **Look.** The two frames hardly seem to differ. The difference says otherwise: at the sides it is large, in the middle of the street nearly nothing. Most of it is the camera's doing, but not all: one car moves by itself. Can you tell which? (Section 6 answers.)
#
# The words for all three lessons, once:
#
# | word | means |
# |---|---|
# | **target** | the frame that we explain; depth belongs to it |
# | **source** | the frame next to it in time, from which the target is rebuilt |
# | **T** | takes *points* of the target's camera to the source's camera |
# | **flow** | goes from the target to the source, $(x, y)$ in pixels |
# | **pixel (0, 0)** | the *centre* of the first pixel; centres lie at whole numbers |
# | **axes** | $x$ to the right, $y$ down, $z$ ahead; depth is $z$, in metres |
#
# ## 2. A camera is a matrix
#
# In a pinhole camera, light goes in a straight line through one point. By similar triangles a point $(X, Y, Z)$ is seen at the pixel
#
# $$x = f\,\frac{X}{Z} + c_x, \qquad y = f\,\frac{Y}{Z} + c_y .$$
#
# $f$ is the focal length in pixels, $(c_x, c_y)$ the pixel straight ahead. Written as a matrix: $Z \, (x, y, 1)^\top = K\,(X, Y, Z)^\top$.

# %%
print(K[0])

# %% [markdown]
# **Predict.** A car is 1.8 m wide and 10 m away. How many pixels wide is it? And at 20 m? A child's toy car, 1:10, at 1 m?

# %%
f = K[0, 0, 0].item()
for name, width, distance in (("car", 1.8, 10), ("car", 1.8, 20), ("toy car", 0.18, 1)):
    print(f"{name:8s} {distance:3d} m away: {f * width / distance:4.1f} pixels")
print(f"field of view: {2 * math.degrees(math.atan(416 / 2 / f)):.0f} degrees")

# %% [markdown]
# The toy and the car are the same to the camera: **lesson 05's scale ambiguity**, in one line. Division by $Z$ throws depth away. If depth is known, nothing is lost, and we can go back:
#
# $$\text{unproject:}\quad P = D(p)\,K^{-1} p, \qquad\qquad \text{project:}\quad p = \frac{K P}{(K P)_z}$$
#
# with $p = (x, y, 1)$ a pixel and $D(p)$ its depth. Write both, for all pixels at once.


# %%
def pixel_grid(maps):
    y, x = torch.meshgrid(*(torch.arange(float(n)) for n in maps.shape[-2:]), indexing="ij")
    return torch.stack([x, y])[None]  # (1, 2, H, W)


# %%
def unproject(depth, K):
    x, y = pixel_grid(depth).unbind(1)
    rays = torch.einsum("bij,bjhw->bihw", K.inverse(), torch.stack([x, y, x * 0 + 1], dim=1))
    return depth * rays  # (B, 1, H, W) * (B, 3, H, W) -> (B, 3, H, W), metres


# %%
def project(points, K):
    x_y_z = torch.einsum("bij,bjhw->bihw", K, points)
    return x_y_z[:, :2] / x_y_z[:, 2:]  # (B, 2, H, W), pixels


# %% [markdown]
# The sky is infinitely far, and infinity divided by infinity is no number. So the sky goes to 1,000 km, which is far enough. There and back again must be where we started, and the finished forms, `motion.unproject` and `motion.project`, must agree. (They also take care of points behind the camera, which no pixel shows.)

# %%
depth = depth.clamp(max=1e6)
points = unproject(depth, K)
print("there and back:", torch.allclose(project(points, K), pixel_grid(depth), atol=1e-3))
print("as motion.unproject:", torch.allclose(points, motion.unproject(depth, K), rtol=1e-5))
same = torch.allclose(project(points, K), motion.project(points, K), atol=1e-3)
print("as motion.project:", same)

# %% [markdown]
# Each pixel is a point in space now, with a colour. So we may walk round it. **Predict:** seen from above, is a house front a line or an area? What is behind the cars?

# %%
plots.show(
    rigid.from_above_figure(target, points),
    alt="The pixels as points in the street, from above: road, house fronts as lines on both sides, fronts of cars with empty shadows behind them; from the right: a flat road.",
)

# %% [markdown]
# One side of each thing, and **shadows without points** behind it: no pixel shows what is hidden. When the camera moves, some of it comes into view, and no depth map knows it. Keep that in mind.
#
# ## 3. Six numbers of motion
#
# Between the frames the camera turned and went ahead. A point $P$ in the axes of the target's camera has, in those of the source's camera, the coordinates
#
# $$P' = R P + t, \qquad T = \begin{pmatrix} R & t \\ 0 & 1 \end{pmatrix}.$$
#
# $t$ has three numbers. So has the rotation $R$: a vector $w$ along the axis, as long as the angle $a$ (radians). **Rodrigues' formula** makes the matrix of it,
#
# $$R = \mathbf{1} + \frac{\sin a}{a}\,[w]_\times + \frac{1 - \cos a}{a^2}\,[w]_\times^2, \qquad a = \lVert w \rVert,$$
#
# where $\mathbf{1}$ is the unit matrix, and $[w]_\times$ the matrix that makes the cross product, $[w]_\times v = w \times v$ for each vector $v$. $R$ is the exponential of $[w]_\times$, which lets you check it.


# %%
def cross_matrix(w):
    x, y, z = w
    zero = torch.zeros(())
    rows = [torch.stack(row) for row in ((zero, -z, y), (z, zero, -x), (-y, x, zero))]
    return torch.stack(rows)


# %%
def rotation(w):
    a, cross = w.norm(), cross_matrix(w)
    return torch.eye(3) + a.sin() / a * cross + (1 - a.cos()) / a**2 * cross @ cross


# %%
w = torch.tensor([0.1, -0.4, 0.2])
print("the exponential:", torch.allclose(rotation(w), torch.matrix_exp(cross_matrix(w)), atol=1e-6))
finished = motion.rotation_from_axis_angle(w)
print("as motion.rotation_from_axis_angle:", torch.allclose(rotation(w), finished, atol=1e-6))
zero = torch.zeros(3)
print("first row at w = 0:", rotation(zero)[0].tolist())
print("the package's:     ", motion.rotation_from_axis_angle(zero)[0].tolist())

# %% [markdown]
# Yours divides by zero where nothing turns, which is where every search begins. The package's does not (`torch.sinc` holds the limit, and its gradient).
#
# **Predict**, before you print: the car drives ahead. Is $t_z$ positive or negative?

# %%
turned = motion.rotation_error(T, torch.eye(4)[None]).item()
print("t, metres:", [round(value, 3) for value in T[0, :3, 3].tolist()])
print(f"the camera turned by {turned:.2f} degrees")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Negative. $T$ does not say where the camera goes, but what becomes of **points**: what was 10 m ahead is 9.5 m ahead afterwards. Where the source's camera stands, seen from the target, is $-R^\top t$: half a metre *ahead*. To mix up these two is the classic mistake with poses (section 11 makes it).
# </details>
#
# ## 4. Rigid flow
#
# Chain the three steps: to a point in space, to the other camera, back to a pixel. What is left after subtracting $p$ is the **rigid flow**, equation 1 of the paper:
#
# $$f^{\text{rig}}(p) = K\,T\,D(p)\,K^{-1} p \;-\; p$$
#
# (The paper leaves two things to the reader, and so does the formula: a 1 is appended to the point before $T$, and the result is divided by its last coordinate.)


# %%
def rigid_flow(depth, T, K):
    points = unproject(depth, K)  # target's camera
    R, t = T[:, :3, :3], T[:, :3, 3]
    moved = torch.einsum("bij,bjhw->bihw", R, points) + t[:, :, None, None]  # source's camera
    return project(moved, K) - pixel_grid(depth)  # (B, 2, H, W), pixels


# %%
exact = drive.flow(1, 2)  # the renderer's own, computed in another way, in the world's axes
flow = rigid_flow(depth, T, K)
print("as motion.rigid_flow:", torch.allclose(flow, motion.rigid_flow(depth, T, K), atol=1e-3))
off = (flow - as_tensor(exact.rigid)).abs().max().item()
print("within 0.001 pixels of the renderer's:", off < 1e-3)

# %% [markdown]
# ### What each motion looks like
#
# **Predict**, and sketch it on paper: the arrows when the camera goes **ahead** by 0.5 m; when it **turns** to the right by 2°; when it steps **aside** to the right by 0.3 m. In each case, does the length of an arrow tell how far the pixel is?


# %%
def pose(turn=(0.0, 0, 0), shift=(0.0, 0, 0)):
    """T of a camera that turns (degrees, about x, y, z) and moves (metres)."""
    camera = motion.pose_from_axis_angle(torch.tensor([turn]).deg2rad(), torch.tensor([shift]))
    return motion.invert_pose(camera)  # the camera moves one way, points the other


# %%
motions = {
    "0.5 m ahead": pose(shift=(0.0, 0, 0.5)),
    "2° to the right, no step": pose(turn=(0.0, 2, 0)),
    "0.3 m to the right, no turn": pose(shift=(0.3, 0, 0)),
}
flows = {name: rigid_flow(depth, moved, K) for name, moved in motions.items()}
plots.show(
    rigid.motions_figure(target, depth, flows),
    alt="Arrows over the street: away from one point for going ahead, all nearly alike for turning, all to the left and longer for near things for a step aside. Beside them, length against depth, coloured by the distance from the middle: a falling curve for each colour, a flat one for each colour, one falling curve for all.",
)

# %% [markdown]
# Three signatures to remember. **Ahead:** everything flees from one point, the *focus of expansion*, straight ahead. **Turning:** depth has no say. The cloud at the right seems to fall with depth, but look at its colours: at the margins arrows are longer, and there the near things are; each colour by itself lies flat. **Aside:** all arrows point to the left, and their length is $f\,t/Z$. That is the stereo pair of lesson 05, one eye after the other.
#
# For a motion without rotation and with $t_z \neq 0$ the formula says it all. With $e = (f t_x/t_z + c_x,\; f t_y/t_z + c_y)$, the **epipole**,
#
# $$f^{\text{rig}}(p) = \frac{-t_z}{Z + t_z}\,(p - e).$$
#
# Direction: along the line through $e$. Length: the distance from $e$, times a number that depends on depth. **Predict** two things about a pixel *at* $e$.

# %%
ahead = motions["0.5 m ahead"]
for column in (208, 228, 308, 408):
    lengths = []
    for distance in (10.0, 20.0):
        wall = torch.full_like(depth, distance)
        lengths.append(rigid_flow(wall, ahead, K)[0, :, 58, column].norm().item())
    near, far = lengths
    print(f"{column - 208:3d} columns from e: {near:5.2f} px at 10 m, {far:5.2f} px at 20 m")

# %% [markdown]
# It does not move (the 0.03 is there because $e$ lies half a pixel beside), and its depth cannot be seen: at the focus of expansion, 10 m and 20 m look the same. That is *straight ahead*, where a driver would most like to know.
#
# ### Only translation tells depth, and no translation tells scale
#
# The sky shows the first half: it is infinitely far, so its flow is the turn's alone. Now the second half. **Predict:** all depths are doubled, the camera goes twice as far. How much does the flow change?

# %%
double = T.clone()
double[:, :3, 3] *= 2  # twice the way, the same turn
change = (rigid_flow(2 * depth, double, K) - flow).abs().max().item()
print("does the flow change at all, by more than 0.001 pixels?", change > 1e-3)
change = (rigid_flow(2 * depth, T, K) - flow).norm(dim=1).median().item()
print(f"all depths doubled, the camera goes the same way: {change:.1f} pixels in the median")

# %% [markdown]
# A street of half the size with half the speed gives **the same video**. Whoever learns from video alone learns depth and translation up to one common factor. No loss, no network, no amount of video will find it; one known length, such as the camera's height over the road, would. (Lesson 09 scales by the median before it measures; now you know why it must.)
#
# ### Move the camera
#
# **Try.** (a) Go ahead by 1 m, then turn to the right, 0.5° at a time. Does the point from which all arrows flee stay at the ×? Is there still one? (b) Set all to zero but the roll. Where is the fixed point? (c) Choose any motion, then enlarge the world by 4. Which sliders must you change, and how, to get the old flow back? (d) Can a turn undo a step aside?

# %% tags=["explorer"]
rigid.move_the_camera(target, depth, K)

# %% [markdown]
# <details><summary>Answer</summary>
#
# (a) The × stays, where the camera goes; the arrows leave it. The turn adds the same few pixels to the left everywhere, and the expansion makes up for it farther right: near things a little to the right of the ×, far things much farther. So the one point is gone, and arrows alone do not show the heading: one has to take the turn off first. (b) At the principal point, $(c_x, c_y)$; a roll about the line of sight turns the picture, whatever the depth. (c) The three in metres, times 4; the turns stay. At the ends of the sliders you run out of room, not of truth. (d) At one depth only: it can hold the house fronts still, and then the near cars go one way and the far end of the street the other.
# </details>
#
# ## 5. Rebuild a picture: fetch, do not push
#
# The flow says where each pixel of the target goes. The obvious way to use it: **push**. Take the target, put each pixel where it goes, and get the source. Nothing is wrong with that, except what the next picture shows on the left.


# %%
def push(image, flow):
    """Each pixel to the nearest pixel of where it goes; later ones overwrite."""
    x, y = (pixel_grid(image) + flow).round().long()[0]
    height, width = image.shape[-2:]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    pushed, hit = torch.zeros_like(image), torch.zeros(1, 1, height, width, dtype=torch.bool)
    pushed[0, :, y[inside], x[inside]] = image[0, :, inside]
    hit[0, 0, y[inside], x[inside]] = True
    return pushed, hit


# %%
pushed, hit = push(target, flow)
fetched, inside = motion.inverse_warp(source, flow)
print(f"pushed: {100 * (~hit).float().mean():.0f} % of the pixels got nothing")
plots.show(
    rigid.holes_figure(pushed, hit, fetched),
    alt="Left, pixels pushed along the flow: a picture full of pink holes. Right, pixels fetched: complete, with a black margin at the sides.",
)

# %% [markdown]
# Going ahead enlarges things, so there are fewer pixels than places: holes. Elsewhere several pixels land on one place. And rounding has no gradient, so that nothing could be learnt through it.
#
# So turn it round: **fetch**. For each pixel $p$ of the *target*, look up what the *source* shows at $p + f(p)$. Every pixel gets exactly one value: the target, rebuilt from the source. That is **inverse warping**. $p + f(p)$ falls between pixels, so mix the four around it, each weighted by how near it is:
#
# $$\tilde I(p) = \sum_{i \in \{0,1\}} \sum_{j \in \{0,1\}} |1 - i - u|\;|1 - j - v| \; I_s(x_0 + i,\, y_0 + j),$$
#
# with $I_s$ the source, $\tilde I$ the rebuilt target, $(x_0, y_0)$ the position rounded down, and $u, v$ what is left over, from 0 to 1. The weights depend smoothly on the position: **here the gradient passes**.


# %%
def inverse_warp(source, flow):
    height, width = source.shape[-2:]
    x, y = (pixel_grid(source) + flow)[0]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    left, top = x.floor().clamp(0, width - 2), y.floor().clamp(0, height - 2)
    u, v = x - left, y - top  # from 0 to 1
    warped = 0
    for i, across in ((0, 1 - u), (1, u)):
        for j, along in ((0, 1 - v), (1, v)):
            warped = warped + across * along * source[:, :, top.long() + j, left.long() + i]
    return torch.where(inside, warped, 0.0), inside[None, None]


# %%
warped, inside = inverse_warp(source, flow)
finished, where = motion.inverse_warp(source, flow)  # by torch's grid_sample
both = inside & where
agree = torch.allclose(warped.where(both, 0.0), finished.where(both, 0.0), atol=1e-4)
print("as motion.inverse_warp:", agree)
print(f"{100 * (~inside).float().mean():.0f} % of the target lies outside the source")

# %% [markdown]
# The second output, `inside`, is no decoration. At the margin the target shows what the source does not. Whoever counts those pixels compares with black, and pulls depth and pose towards nonsense.
#
# ## 6. How well does truth explain?
#
# With exact depth and exact pose, is the rebuilt picture equal to the target? **Predict** at least three places where it is not.

# %%
occluded, outside = (as_tensor(mask[None]) > 0 for mask in (exact.occluded, exact.outside))
moving = as_tensor(drive.moving[1:2]) > 0
visible = ~occluded & ~outside
static = visible & ~moving

# %%
plots.show(
    rigid.regions_figure(
        target, warped, {"moving": moving, "occluded": occluded, "outside": outside}
    ),
    alt="The target, rebuilt from the source; the difference is large on the oncoming car and in narrow strips beside things, and these are the regions that are marked as moving, occluded and outside.",
)

# %% [markdown]
# - **Outside** (blue): the camera went ahead, so the margin of the target is behind it now.
# - **Occluded** (orange): the source shows something else there. The pixel fetches what hides it: a *double image*.
# - **Moving** (pink): the blue car comes towards us, someone walks behind the cars on the left, and rigid flow lets both stand still. No pose and no depth that are true could explain it.
# - And a little everywhere else: a car's windows and the puddle mirror the street, and what they show does not move like their surface.
#
# How much is it, in numbers? Mean difference in gray levels of 255, live. Four flows: none; the rigid flow with the pose **inverted**; rigid; and the renderer's exact flow of everything that moves.


# %%
def levels(flow, region):
    warped, inside = motion.inverse_warp(source, flow)
    return 255 * motion.masked_mean((target - warped).abs(), region & inside).item()


# %%
tried = {
    "no flow": torch.zeros_like(flow),
    "rigid, pose inverted": rigid_flow(depth, motion.invert_pose(T), K),
    "rigid": flow,
    "everything exact": as_tensor(exact.full),
}
regions = {"static": static, "moving": visible & moving, "occluded": occluded}
print(f"{'gray levels, live':22s}" + "".join(f"{name:>10s}" for name in regions))
for name, chosen in tried.items():
    row = "".join(f"{levels(chosen, region):10.1f}" for region in regions.values())
    print(f"{name:22s}{row}")

# %% [markdown]
# Rigid flow takes the difference on static pixels down to an eighth. It never reaches zero: bilinear mixing blurs a little, and mirrors lie. On them the inverted pose is *worse than none*. What moves needs the exact flow; the step from rigid to exact is what lesson 10 learns. At occlusions no flow helps.
#
# ### A better ruler than the difference
#
# So agreement between pictures measures whether depth and motion are right, and needs no truth. But the plain difference has a weakness: if the exposure changes between the frames, everything differs. The paper mixes it with structural similarity (SSIM, lesson 01), over windows of 3 × 3:
#
# $$E(p) = \alpha\,\frac{1 - \mathrm{SSIM}(I_t, \tilde I)(p)}{2} + (1 - \alpha)\,|I_t(p) - \tilde I(p)|, \qquad \alpha = 0.85,$$
#
# with $I_t$ the target, $\tilde I$ the rebuilt one, and the mean over the three colours.


# %%
def window_mean(maps):
    return F.avg_pool2d(F.pad(maps, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


# %%
def ssim(a, b, c1=0.01**2, c2=0.03**2):
    mean_a, mean_b = window_mean(a), window_mean(b)
    variances = window_mean(a**2) - mean_a**2 + window_mean(b**2) - mean_b**2
    covariance = window_mean(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance * (2 * covariance + c2) / (variances + c2)


# %%
def photometric_error(target, warped, alpha=0.85):
    structure = ((1 - ssim(target, warped)) / 2).clamp(0, 1)
    return (alpha * structure + (1 - alpha) * (target - warped).abs()).mean(dim=1, keepdim=True)


# %% [markdown]
# **Predict:** the source is made 20 % darker, as if a cloud came. By which factor does each error of the *right* flow grow? Can each still tell the right flow from none?

# %%
mine, finished = photometric_error(target, warped), motion.photometric_error(target, warped)
print("as motion.photometric_error:", torch.allclose(mine, finished, atol=1e-3))
print("static pixels, live     |difference|   SSIM + difference")
for name, factor in (("same light", 1.0), ("20 % darker", 0.8)):
    for label in ("rigid", "no flow"):
        rebuilt = factor * motion.inverse_warp(source, tried[label])[0]
        plain = motion.masked_mean((target - rebuilt).abs(), static).item()
        mixed = motion.masked_mean(photometric_error(target, rebuilt), static).item()
        print(f"{name:12s} {label:8s} {plain:14.3f} {mixed:19.3f}")

# %% [markdown]
# In the dark, the plain error of the *right* flow grows more than sixfold, to two thirds of that of no flow at all; the mixed one still keeps them apart by a factor of four, nearly. Lesson 09 says more about it, and trains with it.
#
# ## 7. The depth of one pixel
#
# Now turn the formula round. The pose is known, depth is not. Take one pixel, a tail light of the white car, and ask: **if it were 3 m away, where would the source show it?** And at 8 m, at 80 m? The answers lie on a line.

# %%
pair = epipolar.Pair(target, source, depth, T, K)
row, column = 84, 282
marks = torch.tensor([2.5, 4.0, 8.0, 80.0])
plots.show(
    epipolar.line_figure(pair, row, column, torch.logspace(0.4, 2, 100), marks),
    alt="A pixel on the tail light of a car, and in the source a line that runs outward from the middle of the street, with the places for depths of 2.5, 4, 8 and 80 metres.",
)

# %% [markdown]
# That is the **epipolar line**. It needs no picture, only the two cameras. All such lines meet in one point, the epipole of the source: where it would see the camera of the target. So finding the depth of a pixel is a search in *one* dimension: go along the line and see where the source looks like the target.
#
# One pixel has a colour, and many places have that colour. A **window** of 5 × 5 is safer: we assume that all of it has one depth. (SSIM looks at the eight neighbours already, so that even a window of one pixel knows a little more than a colour.) The code asks all pixels at once: put a wall at distance $Z$ in front of the camera, rebuild the target, and see which pixels agree with it.


# %% tags=["explorer"]
def errors_at(distance):
    """The photometric error of every pixel, if it were that far away; NaN outside."""
    flow = motion.rigid_flow(torch.full_like(depth, distance), T, K)
    warped, inside = motion.inverse_warp(source, flow)
    return motion.photometric_error(target, warped).where(inside, torch.nan)


# %% tags=["explorer"]
candidates = torch.logspace(math.log10(2.5), math.log10(80), 64)  # metres, steps of 6 %
errors = torch.cat([errors_at(distance) for distance in candidates.tolist()])  # (64, 1, H, W)

# %%
windows = F.avg_pool2d(errors, 5, stride=1, padding=2, count_include_pad=False)
curve = windows[:, 0, row, column]  # (64,)
best = curve.argmin()
print(f"lowest error, {curve[best]:.3f}, at {candidates[best]:.1f} m (live)")
print(f"true depth: {depth[0, 0, row, column]:.1f} m")

# %% [markdown]
# No network, no training, no label. Two pictures and the camera's motion gave the depth of a pixel.
#
# **Predict** for each of these five what the curve of errors looks like, and where its minimum lies: nearer than the truth, farther, at the right place, or anywhere?
#
# - **A** the tail light;
# - **B** a car's plain rear window;
# - **C** a house front with equal windows in a row;
# - **D** the oncoming car;
# - **E** a puddle that mirrors a house.

# %%
places = {
    "tail light": (84, 282),
    "rear window": (64, 300),
    "equal windows": (16, 150),
    "oncoming car": (86, 104),
    "puddle": (112, 240),
}
plots.show(
    epipolar.curves_figure(pair, candidates, windows, places),
    alt="Five pixels and their curves of error: the tail light has one minimum at the truth; the rear window is equally good at every depth, the equal windows have several minima, the oncoming car's lies too near, the puddle's too far.",
)

# %% [markdown]
# - **A** One valley, at the truth.
# - **B** *No texture.* Every depth explains a plain surface; the lowest point is an accident.
# - **C** *Repetition.* Several valleys. Each is a depth at which one window falls on another one, and here a wrong one is the deepest.
# - **D** *It moves.* The car comes towards us, so it grows faster than a standing thing would. The only standing thing that grows so fast is **nearer**. The search is sure of it, and wrong.
# - **E** *A mirror.* What you see in the puddle is the house, upside down, and it moves as a house that far away does. The depth found is that of the *image* in the mirror.
#
# Predict for later: a car that drives ahead of us, as fast as we do, does not move in the picture at all. Which depth would the search find? (Lesson 09.)
#
# ### All pixels at once
#
# Nothing keeps us from doing it for every pixel: take the best candidate everywhere. **Predict:** where is the depth map good, and where else, apart from B to E, must it be wrong?

# %%
lowest = windows.nan_to_num(torch.inf).min(dim=0, keepdim=True)
found = candidates[lowest.indices].where(lowest.values.isfinite(), torch.nan)  # (1, 1, 128, 416)
plots.show(
    epipolar.maps_figure(depth.where(depth < 1e5, torch.inf), found),
    alt="True depth; found depth, which resembles it, with noise; the error, large on the oncoming car, on the puddle, at the margins, at the end of the street and on equal windows.",
)

# %%
y = pixel_grid(depth)[:, 1:]
centre = motion.invert_pose(T)[0, :3, 3]  # where the source's camera stands
e = project(centre.view(1, 3, 1, 1), K)  # the epipole: (1, 2, 1, 1)
away = (pixel_grid(depth) - e).norm(dim=1, keepdim=True)
puddle = (as_tensor(drive.shiny[1:2]) > 0) & (y > 100)

# %%
parts = {
    "static, off the middle": static & (away >= 40) & ~puddle,
    "static, 40 pixels around the epipole": static & (away < 40),
    "puddles": static & puddle,
    "moving": visible & moving,
    "occluded": occluded,
    "outside": outside,
}

# %%
print("depth by search (live)                 median error   off by more than 25 %")
for name, part in parts.items():
    error = (found / depth - 1)[part & (depth < 80) & found.isfinite()]
    share = (error.abs() > 0.25).float().mean().item()
    median = error.median().item()
    print(f"{name:38s} {round(100 * median):+8d} %   {100 * share:15.0f} %")

# %% [markdown]
# Off the middle, where things stand still, five pixels of six are right to a quarter, without anything learnt. Around the epipole nothing moves enough to tell. What is occluded or outside has **no right answer** on its line, yet the search always returns one.
#
# A network (lesson 09) will be trained with this very error. Why then a network? It sees the whole picture: it may learn that windows are parts of cars and that roads are flat, and say so where the search is blind. It will also *inherit* what is wrong here for good reasons: D and E have a low error at a wrong depth.
#
# ## 8. The motion of the camera
#
# Now the other way: depth is known, the motion is not. Six numbers, one loss, the photometric error of the rebuilt target. Each step from the numbers to the loss is differentiable, so **gradient descent** can look for them. No points are matched, no label is used.


# %%
def shrink(factor, depth):
    """Both frames, depth and K at 1 / factor of the size."""
    small = [F.avg_pool2d(image, factor) for image in (target, source)]
    taken = depth[..., factor // 2 :: factor, factor // 2 :: factor]  # never average depths
    return *small, taken, datasets.scale_intrinsics(K, 1 / factor)


# %%
def loss_of(numbers, level):
    target, source, depth, K = level
    T = motion.pose_from_axis_angle(numbers[:, :3], numbers[:, 3:])  # (1, 6) -> (1, 4, 4)
    warped, inside = motion.inverse_warp(source, motion.rigid_flow(depth, T, K))
    return motion.photometric_loss(target, warped, inside)  # its mean over what is inside


# %% [markdown]
# A *plan* says at which size to look, for how many steps, and with which learning rate.


# %%
def descend(start, plan, depth=depth):
    numbers, path = start.clone().requires_grad_(), []
    for factor, steps, learning_rate in plan:
        level, optimiser = shrink(factor, depth), torch.optim.Adam([numbers], lr=learning_rate)
        for _ in range(steps):
            loss = loss_of(numbers, level)
            path.append((numbers.detach().clone(), loss.item()))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return path


# %%
def judge(path):
    """Loss, rotation off by (degrees) and translation off by (metres), for each step: (steps, 3)"""
    numbers, losses = torch.cat([numbers for numbers, _ in path]), [loss for _, loss in path]
    poses = motion.pose_from_axis_angle(numbers[:, :3], numbers[:, 3:])
    turns = motion.rotation_error(poses, T)
    steps = (poses - T)[:, :3, 3].norm(dim=1)
    return torch.stack([torch.tensor(losses), turns, steps], dim=1)


# %% [markdown]
# Start from **no motion**: "the camera stood still". Pictures of half the size, 60 steps and 30 small ones. **Predict:** does it arrive? How near can it come, if a pixel is $1/f$ wide, a quarter of a degree, and a half-size pixel twice as much?

# %% tags=["nbval-ignore-output", "live-training"]
still = torch.zeros(1, 6)
path = descend(still, [(2, 60, 0.01), (2, 30, 0.002)])
run = judge(path)
plots.show(
    rigid.descent_figure({"from no motion": run}),
    alt="Photometric loss, rotation error and translation error over 90 steps from no motion: all fall, the errors to near zero; the rotation swings on its way.",
)

# %%
print("live, after 90 steps from no motion:")
print(
    "rotation right to 0.3 degrees:", bool(run[-1, 1] < 0.3), f" (at first off by {run[0, 1]:.1f})"
)
print(
    "translation right to 5 cm:", bool(run[-1, 2] < 0.05), f" (at first off by {run[0, 2]:.2f} m)"
)

# %% [markdown]
# It arrives, to a fraction of a pixel: thousands of pixels vote on six numbers. The curves show Adam's habit: it moves each number by about the learning rate a step, whatever the size of the gradient. 0.01 is a centimetre of way, but more than half a degree of turn. So the turn swings to and fro while the way is still walking; the last 30 steps, five times smaller, calm it.
#
# Watch the picture converge. Each panel is the difference between the target and the source rebuilt with the pose of that step.


# %%
def rebuilt(numbers):
    T = motion.pose_from_axis_angle(numbers[:, :3], numbers[:, 3:])
    return motion.inverse_warp(source, motion.rigid_flow(depth, T, K))[0]


# %% tags=["nbval-ignore-output", "live-training"]
pictures = {f"step {step}": rebuilt(path[step][0]) for step in (0, 12, 30, 89)}
plots.show(
    epipolar.errors_figure(target, pictures),
    alt="Four differences between the target and the rebuilt picture: strong outlines at step 0, weaker at steps 12 and 30; at step 89 only the oncoming car and the margins are left.",
)

# %% [markdown]
# At the end the static street is gone from the difference. What stays is what you know from section 6: the car that moves, double images, the margin. Half a street outvotes one car.
#
# ### From how far?
#
# Gradient descent looks at the slope where it stands. **Predict:** you turn the *true* pose off by 1°, 4° or 10° (4, 17 or 42 pixels). How does the loss look, seen from there? Does it help to look at smaller pictures?

# %%
true_numbers = torch.zeros(1, 6)
true_numbers[0, 3:] = T[0, :3, 3]
skew = (T[0, :3, :3] - T[0, :3, :3].T) / 2  # for small turns this is [w]x
true_numbers[0, :3] = torch.stack([skew[2, 1], skew[0, 2], skew[1, 0]])
print("off by less than 0.001 degrees:", bool(judge([(true_numbers, 0.0)])[0, 1] < 0.001))


# %%
def turned_off(degrees):
    numbers = true_numbers.clone()
    numbers[0, 1] += math.radians(degrees)  # about the vertical
    return numbers


# %%
offsets = np.linspace(-12, 12, 49)
valleys = {}
with torch.no_grad():
    for factor in (1, 4, 16):
        level = shrink(factor, depth)
        losses = np.array([loss_of(turned_off(offset), level).item() for offset in offsets])
        height, width = level[0].shape[-2:]
        valleys[f"{height} × {width} pixels"] = offsets, losses

# %%
plots.show(
    rigid.curves_figure(
        valleys,
        "turned off by, degrees",
        "photometric loss",
        "the smaller the picture, the wider the valley",
    ),
    alt="Photometric loss against a rotation error from -12 to 12 degrees: a narrow deep valley at full size, a wider one at a quarter, a wide one, 5 degrees to each side, at a sixteenth.",
)

# %% [markdown]
# At full size the valley is about as wide as the pattern in the street: a degree, a few pixels. Beyond, the loss is a plateau with a faint slope: the source's windows lie on the target's walls, and a bit more or less does not matter. In a picture of 8 × 26 pixels there is little left but bright and dark areas, and the valley is ten degrees wide. Its floor is not quite in the right place.
#
# So look at the small picture first and refine: **coarse to fine**. GeoNet and its kin use four sizes for the same reason. **Predict:** start 9° off (38 pixels). Which of the two plans arrives?

# %% tags=["nbval-ignore-output", "live-training"]
far = turned_off(-9)
far[0, 3:] = 0  # and nothing is known about the way
plans = {
    "half size only": [(2, 140, 0.01), (2, 30, 0.002)],
    "coarse to fine": [(16, 40, 0.01), (8, 40, 0.01), (4, 60, 0.01), (2, 30, 0.002)],
}
runs = {name: judge(descend(far, plan)) for name, plan in plans.items()}
plots.show(
    rigid.descent_figure(runs),
    alt="Two descents from a start that is 9 degrees off: at half size only, the rotation error stays large; coarse to fine, it falls to near zero.",
)

# %%
near_enough = torch.tensor([0.5, 0.05])  # degrees, metres
for name, run in runs.items():
    print(f"{name}: arrives within 0.5 degrees and 5 cm: {(run[-1, 1:] < near_enough).all()}")

# %% [markdown]
# (The loss of the coarse plan jumps where the size changes: losses of different sizes are not comparable.) It is no cure for everything: turned off by 8° to the *other* side, this plan fails, too. On the way through a city, frames follow each other fast enough that "no motion" is a good start; that is why it works for video and not for photographs from a holiday.
#
# ### The unit of the answer
#
# **Predict:** give the descent depths that are twice too large. Is the loss at the end higher? What becomes of the six numbers? (The learning rate is twice as large at first, in case the way is longer.)

# %% tags=["live-training"]
doubled = descend(still, [(2, 60, 0.02), (2, 30, 0.002)], depth=2 * depth)  # the lie
numbers, loss = doubled[-1]
ratio = (numbers[0, 5] / T[0, 2, 3]).item()
print("live: the way ahead is 1.9 to 2.1 times the truth:", 1.9 < ratio < 2.1)
print("the loss is within 10 % of that with true depth:", abs(loss / path[-1][1] - 1) < 0.1)

# %% [markdown]
# The video is explained as well as before, by a street and a way that are twice as large. Section 4 said so; now you have seen an optimiser that cannot know better.
#
# And if **both** are unknown, depth and motion? Then each is the condition of the other. GeoNet answers with two networks that learn both at the same time, from this one error: [lesson 09](09_geonet_static_scene.ipynb).
#
# ## 9. Try to break it
#
# Choose a pixel, the size of the window, and a depth; the yellow square in the source shows where the pixel would be.
#
# **Question.** Before each choice, say where the minimum will be. Then: (a) does a larger window cure the equal windows? The rear window? The oncoming car? (b) On the road, the depth found depends on the window. Why? And what happens at the bollard, which stands before a shop? (c) Why does the curve of the end of the street not rise again, though there is texture?

# %% tags=["explorer"]
pair = epipolar.Pair(target, source, depth, T, K)
pixels = {
    "the tail light": (84, 282),
    "the rear window": (64, 300),
    "equal windows": (16, 150),
    "the oncoming car": (86, 104),
    "the puddle": (112, 240),
    "the bollard": (82, 341),
    "the end of the street": (36, 200),
    "the road": (100, 150),
}
epipolar.search_along_the_line(pair, candidates, errors, pixels)

# %% [markdown]
# <details><summary>Answer</summary>
#
# (a) 11 × 11 cures the equal windows here: it reaches the edge of the house, which exists once. In the rear window it sees the car's frame and comes into the neighbourhood of the truth. For the oncoming car no window helps: the error is not in the matching. (b) The window is a wall that faces us; the road is not. Its lower part is nearer and moves faster. With one pixel the road is plain and the answer uncertain; with a large window all of them agree on a compromise. At the bollard a large window also sees the shop behind, and the error at the right depth rises. (c) It lies 143 m away, no candidate is right, and so near the epipole the whole way from 40 m to infinity is 0.4 pixels of its line.
# </details>
#
# ## 10. Paper versus ours
#
# There is no published number for this part: with true depth and pose there is nothing to compete for. What can be compared is the *method*, by the paper and its released code:
#
# | | the paper and its code | this course |
# |---|---|---|
# | rigid flow | equation 1 | the same |
# | pixel centres | at whole numbers | the same |
# | pose | translation, then Euler angles, $R = R_x R_y R_z$; target to source | the same for networks; axis and angle in this lesson |
# | photometric error | section 3.3, $\alpha = 0.85$, SSIM over 3 × 3 | the same |
# | pixels from outside | count in the rigid loss | left out, and their neighbours too |
# | intrinsics of smaller pictures | $c_x / 2^s$ | $(c_x + 0.5) / 2^s - 0.5$ |
#
# The last two lines are differences that we chose. Section 6 showed the first; the second is a quarter of a pixel at half size, which section 11 measures.
#
# Rendered streets could share a mistake with the code that reads them. So the course's tests do the same on **real** frames with a sensor's depth and known poses (7-Scenes, three frames apart): mean difference 0.021 after warping by depth and pose, 0.049 without warping, 0.071 with the pose inverted. The order is that of the table in section 6. It is worth looking for in any data set that you get.
#
# ## 11. What goes wrong in practice
#
# Five mistakes that people make again and again. None raises an error. **Predict** the order, from harmless to fatal.


# %%
def swapped_corners(source, flow):
    """The grid for align_corners=True, sampled with grid_sample's default, False."""
    last = torch.tensor([source.shape[-1] - 1.0, source.shape[-2] - 1.0]).view(1, 2, 1, 1)
    grid = 2 * (pixel_grid(source) + flow) / last - 1
    return F.grid_sample(source, grid.permute(0, 2, 3, 1), align_corners=False)


# %%
def half_size(K):
    """Gray levels on static pixels at half size, with the K that is given."""
    small, from_small, taken, _ = shrink(2, depth)
    warped, inside = motion.inverse_warp(from_small, motion.rigid_flow(taken, T, K))
    return 255 * motion.masked_mean((small - warped).abs(), inside & static[..., 1::2, 1::2]).item()


# %%
halved = K.clone()
halved[:, :2] /= 2  # cx / 2 and not (cx + 0.5) / 2 - 0.5
corners = 255 * motion.masked_mean((target - swapped_corners(source, flow)).abs(), static).item()
print("mean difference on static pixels, gray levels of 255, live")
print(f"all right                            {levels(flow, static):5.1f}")
print(f"pose inverted                        {levels(tried['rigid, pose inverted'], static):5.1f}")
print(f"x and y of the flow swapped          {levels(flow.flip(1), static):5.1f}")
print(f"align_corners: one True, one False   {corners:5.1f}")
print(f"half size, all right                 {half_size(datasets.scale_intrinsics(K, 0.5)):5.1f}")
print(f"half size, K of the full size        {half_size(K):5.1f}")
print(f"half size, principal point halved    {half_size(halved):5.1f}")
print(f"for comparison: no flow at all       {levels(torch.zeros_like(flow), static):5.1f}")

# %% [markdown]
# - **Pose inverted.** Worse than no flow. In training it hides: a pose network may learn the inverse, the loss falls, and the poses that you report run backwards. Check with a drive: $t_z$ must be negative when going ahead.
# - **x and y swapped.** `grid_sample` wants $(x, y)$ in the last axis, arrays are indexed [y, x].
# - **K of the full size** for smaller pictures: most of the gain is lost. In training, the networks bend depth and motion until they fit the wrong camera.
# - **Principal point halved**, as in the authors' code: a quarter of a pixel, and *nothing* to be seen. The same wrong $K$ unprojects and projects, and so it cancels but for the change in depth. Right is right, but this one is harmless.
# - **align_corners.** Only a little worse, and that is why it lives long. It stretches the picture by $1/W$ and $1/H$: nothing in the middle, half a pixel at the margins. A one-line test finds it:

# %%
nothing = torch.zeros_like(flow)
moved = (swapped_corners(source, nothing) - source).abs().mean(dim=(0, 1))  # (H, W)
again = (motion.inverse_warp(source, nothing)[0] - source).abs().max().item()
print(f"zero flow, one True, one False: off by {255 * moved.mean():.1f} gray levels on average")
middle, corner = moved[56:72, 200:216].mean(), moved[:16, :16].mean()
print(f"  in the middle of the picture {255 * middle:.1f}, in a corner {255 * corner:.1f}")
print("zero flow, both True: the same picture:", again < 1e-3)

# %%
mistakes = {
    "all right": warped,
    "pose inverted": motion.inverse_warp(source, tried["rigid, pose inverted"])[0],
    "x and y of the flow swapped": motion.inverse_warp(source, flow.flip(1))[0],
    "align_corners: one True, one False": swapped_corners(source, flow),
}
plots.show(
    epipolar.errors_figure(target, mistakes),
    alt="Differences from the target: faint when all is right, strong outlines with the pose inverted and with x and y swapped, weak ones at the sides with mixed align_corners.",
)

# %% [markdown]
# Half a pixel sounds like nothing. At 20 m, half a pixel at the margin of our frames is the difference between 20 m and 22 m. **Zero flow must give back the same picture**, to the last digit but one: put that test into your own code.
#
# ## Summary
#
# - Depth, six numbers and $K$ give the flow of everything that stands still; turned round, the agreement of two pictures finds depth along a line, and the six numbers by gradient descent.
# - Only translation tells depth, and only up to one factor for depth and way together.
# - Agreement misleads where there is no texture, too much repetition, a mirror, or something that moves by itself.
#
# **Next:** [09 · GeoNet: the static scene](09_geonet_static_scene.ipynb): two networks learn depth and motion at once, from the error of this lesson.
#
# **Reading.** Zhou, Brown, Snavely, Lowe, *Unsupervised Learning of Depth and Ego-Motion from Video* (SfMLearner, CVPR 2017): depth and pose from the warping error, a year before GeoNet. Garg et al., *Unsupervised CNN for Single View Depth Estimation: Geometry to the Rescue* (ECCV 2016): the same with stereo pairs. Hartley and Zisserman, *Multiple View Geometry in Computer Vision* (2004), chapters 6 and 9: the camera matrix and epipolar geometry. Engel, Koltun, Cremers, *Direct Sparse Odometry* (TPAMI 2018): motion and depth by minimising photometric error, in real time, without a network. Jaderberg et al., *Spatial Transformer Networks* (NeurIPS 2015): bilinear sampling that gradients pass.
