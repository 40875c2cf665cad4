# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 06 · Coarse depth
#
# You build the network that looks at a whole picture and draws its depth, and the loss that asks it for the right thing.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/cnns-for-other-image-tasks/blob/main/notebooks/06_coarse_depth.ipynb)
#
# **Budget:** 130 s on a CPU core (GPU: not measured) · 2 GB of memory · nothing to download
#
# **You will be able to**
#
# - build the coarse network, derive its sizes and its 71 million parameters, and find a misprint in a famous figure;
# - say why depth is learned as a logarithm, and compute the scale-invariant loss by hand;
# - train with missing depth and with augmentation that keeps picture and depth together;
# - recognise a network that says the same for every picture, and tell why it does.
#
# **Lecture and paper.** The lecture's slides "depth from a single image: the coarse network" and "scale-invariant loss"; Eigen, Puhrsch, Fergus, *Depth Map Prediction from a Single Image using a Multi-Scale Deep Network* (NeurIPS 2014), [arXiv 1406.2283](https://arxiv.org/abs/1406.2283), sections 3.1.1, 3.2 to 3.4 and 4. **Short of time?** A lecture can skip sections 5, 7 and 8: no later section needs their cells.

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
import torch
from torch import nn
from tqdm.auto import tqdm

from lessons_utils import checkpoints, datasets, depth, plots
from lessons_utils.explorers import coarse
from lessons_utils.scenes import rooms

# %% [markdown]
# ## 1 · What a patch cannot tell
#
# A set of frames is three tensors: pictures, depth in metres, and a mask that says where depth was measured. Ours are rendered rooms, so the depth is exact, and the mask is that of an imagined sensor. Everything in this lesson is small: it stays on the CPU.

# %% tags=["explorer"]
images, exact, measured = rooms.frames("test", 100, progress=False)  # renders them, a few seconds
print("pictures", tuple(images.shape), "depth", tuple(exact.shape), "mask", tuple(measured.shape))

# %% [markdown]
# Here are four patches of 20 × 20 pixels, cut out of four test rooms.
#
# **Predict.** Put them in order, from near to far. Which two can you compare, and what do you go by?

# %%
chosen, places = [34, 23, 94, 53], [(20, 40), (20, 40), (10, 30), (50, 20)]
figure = coarse.patches_figure(images[chosen], places, size=20)
plots.show(
    figure, alt="Four enlarged patches: small bricks, large bricks, and two of plain plaster."
)

# %%
figure = coarse.whole_figure(images[chosen], exact[chosen], places, size=20)
plots.show(
    figure,
    alt="The four rooms with the patches framed, and their depth maps: the patches lie at 1.6 to 4.7 metres, and both plaster walls look the same from near and far.",
)

# %% [markdown]
# The bricks gave something away: the smaller they look, the farther they are, if all bricks are alike. The plaster gave nothing. Yet in the whole picture you know at once. You see where the floor ends, how large the chair is, where the corners of the room are, and the wall takes its depth from all of that.
#
# A network of small convolutions is in the place of someone who sees only patches. Eigen, Puhrsch and Fergus therefore let a **coarse network** see everything: after five convolutions come two *fully connected* layers, so each pixel of the output depends on each pixel of the input. It pays with sharpness. Lesson 07 adds a second, local network that brings the edges back.

# %% [markdown]
# ## 2 · The coarse network, at the paper's sizes
#
# The paper halves NYU's frames and cuts 228 × 304 pixels out (height × width, as in all our code). The output is a quarter as large: 55 × 74.

# %% [markdown]
# ### Your turn: a misprint
#
# Before you build it, you need its sizes, and the figure is no help: the paper's figure 1 writes "2 × 2 pool" under Coarse 1 and Coarse 2, and no pooling under Coarse 5. Its row of sizes says, for KITTI's pictures of 172 × 576 pixels: Coarse 1 gives 20 × 71, Coarse 2 to 4 give **9** × 35, Coarse 5 gives 4 × 17; and for NYU 27 × 37, 13 × 18, 6 × 8. Both cannot be true. Fill in the pooling of the three layers until every size is right.

# %%
my_pools = {"Coarse 1": (2, 2), "Coarse 2": (2, 2), "Coarse 5": (1, 1)}  # kernel, stride


# %%
def pooled_sizes(pools, height, width):
    sizes, height, width = [], (height - 11) // 4 + 1, (width - 11) // 4 + 1
    for kernel, stride in pools.values():
        height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
        sizes.append(f"{height} x {width}")
    return " -> ".join(sizes)


# %%
print(
    "NYU   figure's sizes: 27 x 37 -> 13 x 18 -> 6 x 8    yours:", pooled_sizes(my_pools, 228, 304)
)
print(
    "KITTI figure's sizes: 20 x 71 -> 9 x 35 -> 4 x 17    yours:", pooled_sizes(my_pools, 172, 576)
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# `{"Coarse 1": (2, 2), "Coarse 2": (3, 2), "Coarse 5": (3, 2)}`. The row of KITTI tells: from 20 rows a 2 × 2 pool leaves 10, a 3 × 3 pool with stride 2 leaves 9. And from 18 columns (NYU) to 8, only the 3 × 3 pool leads. Without a pool after Coarse 5, Coarse 6 alone would have 245 million parameters.
#
# A size row is a checksum. When you rebuild a network from a figure, compute every size in it.
#
# </details>

# %% [markdown]
# ### Built
#
# We build it on PyTorch's *meta* device, which computes all shapes and no numbers: 71 million weights would need 283 MB.

# %%
with torch.device("meta"):  # with the pooling that you found
    layers = {
        "Coarse 1": nn.Sequential(nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(), nn.MaxPool2d(2)),
        "Coarse 2": nn.Sequential(
            nn.Conv2d(96, 256, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)
        ),
        "Coarse 3": nn.Sequential(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
        "Coarse 4": nn.Sequential(nn.Conv2d(384, 384, 3, padding=1), nn.ReLU()),
        "Coarse 5": nn.Sequential(
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, stride=2)
        ),
        "Coarse 6": nn.Sequential(nn.Flatten(), nn.Linear(12288, 4096), nn.ReLU(), nn.Dropout()),
        "Coarse 7": nn.Sequential(nn.Linear(4096, 55 * 74), nn.Unflatten(1, (1, 55, 74))),
    }

# %% [markdown]
# **Predict.** Where do 12,288 numbers come from? And which of the seven layers holds most of the parameters? A convolution has *(kernel area × maps in + 1) × maps out*, a fully connected layer *(inputs + 1) × outputs*.


# %%
def parameters(layer):
    return sum(parameter.numel() for parameter in layer.parameters())


# %%
maps = torch.zeros(1, 3, 228, 304, device="meta")
for name, layer in layers.items():
    before, maps = tuple(maps.shape[1:]), layer(maps)
    print(
        f"{name}  {before!s:15} -> {tuple(maps.shape[1:])!s:15} {parameters(layer):12,} parameters"
    )
print(f"together {sum(map(parameters, layers.values())):,}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Coarse 5 leaves 256 maps of 6 × 8 = 12,288 numbers. Coarse 6 joins each of them with each of its 4,096 outputs: (12,288 + 1) × 4,096 = 50,335,744 parameters, seven of ten. Seeing everything at once is expensive.
#
# </details>
#
# **Coarse 7 is linear**: no ReLU behind it. Its output is the *logarithm* of depth (section 3), and a logarithm may be negative: everything nearer than 1 m is. Section 12 shows what a ReLU does there.

# %% [markdown]
# ### The same, for a laptop
#
# The paper's network was trained on a graphics card. We train a **small variant** that keeps each layer and each idea, and say what is scaled down.

# %%
for name, paper in depth.sizes_of(depth.NYU).items():
    print(f"{name:13} paper {paper!s:25} ours {depth.sizes_of(depth.SMALL)[name]}")

# %% [markdown]
# Pictures of half the resolution, fewer maps, a smaller and denser first filter (7 × 7, stride 2, and the pooling after it makes up for the size). Here is the whole network for any such table of sizes:


# %%
class Coarse(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        (height, width), (m1, m2, m3, m4, m5) = sizes.output_size, sizes.coarse_maps
        blocks = [
            [nn.Conv2d(3, m1, sizes.first_kernel, sizes.first_stride), nn.ReLU(), nn.MaxPool2d(2)],
            [nn.Conv2d(m1, m2, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)],
            [nn.Conv2d(m2, m3, 3, padding=1), nn.ReLU()],
            [nn.Conv2d(m3, m4, 3, padding=1), nn.ReLU()],
            [nn.Conv2d(m4, m5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, stride=2)],
        ]
        self.features = nn.Sequential(*(layer for block in blocks for layer in block))
        seen = self.features(torch.zeros(1, 3, *sizes.coarse_input)).numel()
        self.hidden = nn.Linear(seen, sizes.hidden)
        self.dropout = nn.Dropout(0.5)
        self.output = nn.Linear(sizes.hidden, height * width)
        self.log_depth = nn.Unflatten(1, (1, height, width))

    def forward(self, images):
        features = self.features((images - 0.45) / 0.27).flatten(1)  # brings pixels near N(0, 1)
        hidden = self.dropout(self.hidden(features).relu())
        return self.log_depth(self.output(hidden))


# %%
mine = Coarse(depth.SMALL).eval()
theirs = depth.CoarseNetwork(depth.SMALL).eval()
mine.load_state_dict(theirs.state_dict(), strict=False)  # theirs also keeps a mean picture
picture = torch.rand(2, 3, 114, 152)
print(
    "yours equals depth.CoarseNetwork:", torch.allclose(mine(picture), theirs(picture), atol=1e-6)
)
print(f"{tuple(picture.shape)} -> {tuple(mine(picture).shape)}, {parameters(mine):,} parameters")

# %% [markdown]
# ## 3 · Why the logarithm
#
# **Predict.** Your network is wrong by 10 cm: once on a cup at 1 m, once on a wall at 9 m. Which error is worse? What does the squared error of depth say, what the squared error of log depth?

# %%
for true in (1.0, 9.0):
    depths = torch.tensor([true, true + 0.1])
    print(
        f"at {true:.0f} m: {depths.diff().item():.3f} m, in log depth {depths.log().diff().item():.4f}"
    )

# %% [markdown]
# A metre is a metre to the first; the second asks *by which share* you are wrong. Near things are as important as far ones, and a factor becomes a difference:
#
# $$\log(s\,y) = \log s + \log y$$
#
# $y$ is a depth and $s$ a factor. "The whole room is 1.3 times larger than I thought" is then a **constant** added to all pixels. Remember this sentence: the loss of section 4 is built on it.
#
# **Predict.** A network says 20 % too much at every pixel of 100 rooms. Sort the pixels into the nearest, the middle and the farthest third. Which share of the squared error does each third have: in metres, and in log depth?

# %%
thirds = exact[..., ::4, ::4].flatten().sort().values.chunk(3)  # near, middle, far
in_metres = torch.stack([(0.2 * part).square().sum() for part in thirds])
in_log = torch.stack([((1.2 * part).log() - part.log()).square().sum() for part in thirds])
shares = {"depth in metres": in_metres / in_metres.sum(), "log depth": in_log / in_log.sum()}

# %%
figure = coarse.thirds_figure(thirds, shares)
plots.show(
    figure,
    alt="A histogram of the depths of 100 rooms in three thirds, and the share of each third in two losses: in metres the far third has well over half, in log depth all have the same.",
)

# %% [markdown]
# ## 4 · The loss, by hand
#
# For pixel $i$ of a picture, $y_i$ is the predicted depth, $y_i^*$ the true one, and
#
# $$d_i = \log y_i - \log y_i^*, \qquad L = \frac{1}{n}\sum_i d_i^2 \;-\; \lambda\,\Big(\frac{1}{n}\sum_i d_i\Big)^2$$
#
# $n$ is the number of pixels **with known depth**, $\lambda$ a number from 0 to 1. With $\lambda = 0$ this is the mean squared error of log depth (L2). With $\lambda = 1$ it is the *variance* of $d$. The paper trains with 0.5.
#
# Take a picture of four pixels.

# %%
truth = torch.tensor([1.0, 2.0, 3.0, 4.0])  # metres
prediction = torch.tensor([1.2, 1.8, 3.6, 6.0])


def three_losses(prediction):
    d = prediction.log() - truth.log()
    return torch.stack([d.square().mean() - lam * d.mean().square() for lam in (0.0, 0.5, 1.0)])


# %%
d = prediction.log() - truth.log()
print("d           ", [round(value, 3) for value in d.tolist()])
print(f"mean of d²   {d.square().mean():.4f}")
print(f"(mean of d)² {d.mean().square():.4f}")

# %% [markdown]
# **Predict.** Somebody doubles all four predictions. What happens to each $d_i$? Which of the three losses change?

# %%
print("                λ = 0    λ = 0.5   λ = 1")
for name, values in (("prediction", prediction), ("doubled", 2 * prediction)):
    print(f"{name:12} " + " ".join(f"{value:9.4f}" for value in three_losses(values)))

# %%
rows = {
    name: ((values / truth).log(), three_losses(values))
    for name, values in (("prediction", prediction), ("doubled", 2 * prediction))
}
figure = coarse.four_numbers_figure(rows)
plots.show(
    figure,
    alt="d of four pixels, before and after doubling the prediction: all shift by log 2. Of the three losses the one for lambda 1 stays the same.",
)

# %% [markdown]
# Each $d_i$ grows by $\log 2 = 0.69$. The variance does not notice: with $\lambda = 1$ the loss is blind to a factor on the whole picture. With $\lambda = 0$ such a factor can be most of the loss. $\lambda = 0.5$ forgives half of it.
#
# Why would you *want* a loss that forgives? Lesson 05 showed two scenes, one twice as large as the other, that give the same picture: how large the whole is, a single picture hardly tells. Much of the error is this one number a picture. A loss that lowers its voice about it leaves more of the gradient for what can be learned: the shape of the room.

# %% [markdown]
# ### Your turn: three forms, and a factor
#
# The paper writes the scale-invariant error ($\lambda = 1$) in three ways and puts equals signs between them:
#
# 1. with the best factor taken out: the mean of $(d_i + \alpha)^2$, where $\alpha = \frac{1}{n}\sum_j (\log y_j^* - \log y_j)$;
# 2. over **pairs** of pixels: the sum over all $i$ and $j$ of $\big((\log y_i - \log y_j) - (\log y_i^* - \log y_j^*)\big)^2$, divided by a number $N$;
# 3. as $\frac{1}{n}\sum d_i^2 - \frac{1}{n^2}\big(\sum d_i\big)^2$.
#
# The second says most clearly what is asked for: the *relation* of each two pixels, not their depth. The paper divides by $N = n^2$. **Is that right?** Compute all three for the four pixels, and find $N$.

# %%
alpha = (truth.log() - prediction.log()).mean()
pairs = prediction.log()[:, None] - prediction.log()[None]  # (4, 4): log yᵢ - log yⱼ
true_pairs = truth.log()[:, None] - truth.log()[None]
my_N = 4**2

# %%
print(f"form 1: {(d + alpha).square().mean():.4f}")
print(f"form 2: {(pairs - true_pairs).square().sum() / my_N:.4f}  with your N")
print(f"form 3: {d.square().mean() - d.mean().square():.4f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# $N = 2n^2 = 32$. Each pair is counted twice, as $(i, j)$ and as $(j, i)$; and $\sum_{i,j}(d_i - d_j)^2 = 2n\sum d_i^2 - 2(\sum d_i)^2$, which is $2n^2$ times form 3. With $n^2$ the "equal" error is twice as large.
#
# Equation 2 of the paper has $n^2$; texts about the paper on the web print different factors in front of forms 1 and 2. Four numbers and three lines of code decide it. A constant factor does not change which prediction is best, but it does change what a learning rate means, and what $\lambda$ weighs.
#
# </details>

# %% [markdown]
# ## 5 · Missing depth, and one mean for each picture
#
# A depth sensor has holes: behind edges, on dark and shiny things, out of its range. There, nothing is known, so nothing may enter the loss: neither the sums nor $n$.
#
# The second trap is the batch. $\lambda$ forgives **one factor a picture**. The loss is computed for each picture on its own; only then follows the mean over the batch. Suppose two pictures, perfect in shape; one is predicted 1.5 times too deep, the other 1.5 times too near.
#
# **Predict.** With $\lambda = 1$: what is the loss for each picture? And if all pixels of the batch go into one sum?


# %%
def loss_of(prediction, target, valid, lam=0.5):
    """Log depth (B, 1, h, w) and mask -> the mean over the pictures of their losses."""
    count = valid.sum(dim=(1, 2, 3)).clamp(min=1)  # a picture without depth adds 0
    d = torch.where(valid, prediction - target, 0.0)
    squares = d.square().sum(dim=(1, 2, 3)) / count  # (B,)
    mean = d.sum(dim=(1, 2, 3)) / count
    return (squares - lam * mean.square()).mean()


# %%
target, valid = depth.output_grid(exact[:2]).log(), depth.output_grid(measured[:2])
errors = torch.tensor([1.5, 1 / 1.5]).log().view(2, 1, 1, 1)
d = (target + errors - target)[valid]  # all pixels of both pictures in one row
print(f"each picture on its own: {loss_of(target + errors, target, valid, lam=1.0):.4f}")
print(f"pooled over the batch:   {d.square().mean() - d.mean().square():.4f}")

# %% [markdown]
# Pooled, the two errors have opposite signs, their mean is near zero, and nothing is forgiven. A public reimplementation ([shuuchen/depth_eigen](https://github.com/shuuchen/depth_eigen)) has this.
#
# The finished form is `depth.scale_invariant_loss`:

# %%
guess = target + 0.3 * torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
for lam in (0.0, 0.5, 1.0):
    ours, finished = (f(guess, target, valid, lam) for f in (loss_of, depth.scale_invariant_loss))
    print(f"λ = {lam}: {ours:.5f}   agrees: {torch.allclose(ours, finished)}")

# %% [markdown]
# ## 6 · Try to break it: the loss
#
# One row of a room, and a prediction of it that is wrong in two ways: by a factor, and in shape. Orange is the mean of $d$.
#
# **Set the shape error to 0 and move the factor: which bar does not move? Set the factor to 1: what does λ do then? And which is dearer at λ = 0.5, a factor of 1.5 or a shape error of 0.3?**

# %% tags=["explorer"]
coarse.losses(exact[34, 0, 60])

# %% [markdown]
# <details><summary>Answer</summary>
#
# The green bar (λ = 1) stays at 0: any factor is free. With the factor at 1 the mean of $d$ is 0, and all three bars are equal: λ only weighs the mean. In fact the two errors separate: $L = (\text{shape error})^2 + (1 - \lambda)\,(\log \text{factor})^2$. A factor of 1.5 costs 0.5 · 0.405² = 0.082 at λ = 0.5, a shape error of 0.3 costs 0.09.
#
# At λ = 1 nothing ever tells the network how large a room is. The paper does not use it alone: metres are wanted at the end.
#
# </details>

# %% [markdown]
# ## 7 · Augmentation: picture and depth together
#
# Pictures with depth are scarce, so each is varied. Colour and mirror image are easy. But when the picture is **enlarged** by a factor $s$, what happens to the depth?
#
# **Predict.** A chair at 3 m; the picture is enlarged 1.25 times and cut to its old size. Which depth do you write at the chair?

# %%
scale = 1.25
here, nearer = coarse.walk_nearer(seed=rooms.seeds("test", 100)[34], scale=scale)
zoomed = coarse.zoom(*here, scale=scale)
print(f"median depth: picture {here[1].median():.2f} m, from nearer {nearer[1].median():.2f} m")
print(
    f"enlarged picture: {zoomed[1].median():.2f} m as it is, {zoomed[1].median() / scale:.2f} m divided"
)

# %%
figure = coarse.depth_rows_figure(
    {
        "the picture": here,
        "enlarged × 1.25,\ndepth left as it is: wrong": zoomed,
        "enlarged × 1.25,\ndepth divided by 1.25": (zoomed[0], zoomed[1] / scale),
        "a camera that\nwalked nearer": nearer,
    }
)
plots.show(
    figure,
    alt="A room; the same enlarged, with depth as it was and divided by 1.25; and the room rendered from a camera nearer to it. The divided depth resembles that of the nearer camera.",
)

# %% [markdown]
# The chair goes to 3 / 1.25 = 2.4 m. (The undivided median rose, since the cut removed the near floor.)
#
# The enlarged picture looks like one from a camera that stands nearer, so depth is **divided by** $s$. It is not quite the same: walking makes near things grow faster than far ones, enlarging does not. (An enlarged picture is exactly that of a room squashed along the line of sight.) As an augmentation it is good enough.
#
# Three more rules. Rotate the picture, and rotate depth and mask with it. Take depth by the **nearest** pixel: the average of a lamp at 1 m and a wall at 4 m is 2.5 m, where there is nothing. And what a rotation brings in from outside the frame is masked.

# %%
fixed = depth.Augmentation(scale=(1.0, 1.0), rotation=0.0, colour=(1.0, 1.0), flip=0.0)
kinds = {
    "enlarged × 1.5": {"scale": (1.5, 1.5)},
    "rotated": {"rotation": 5.0},
    "colours": {"colour": (0.8, 1.2)},
    "mirrored": {"flip": 1.0},
}

# %%
one = tuple(part[34:35] for part in (images, exact, measured))
samples = {}
for name, change in {"cut from the frame": {}, **kinds}.items():
    settings = depth.Augmentation(**{**vars(fixed), **change})
    picture, log_depth, valid = depth.draw_batch(
        one, depth.SMALL, 1, torch.Generator().manual_seed(8), settings
    )  # (1, 3, 114, 152), (1, 1, 26, 36), (1, 1, 26, 36)
    samples[name] = (picture, log_depth.exp() * valid)

# %%
figure = coarse.depth_rows_figure(samples)
plots.show(
    figure,
    alt="Five versions of a room with their depth maps on one colour scale: plain, enlarged and hence nearer, rotated, with other colours, mirrored.",
)

# %%
wall = (images[:1], torch.full_like(exact[:1], 3.0), torch.ones_like(measured[:1]))
settings = depth.Augmentation(**{**vars(fixed), **kinds["enlarged × 1.5"]})
_, log_depth, _ = depth.draw_batch(wall, depth.SMALL, 1, torch.Generator(), settings)
print(f"a wall at 3 m, enlarged 1.5 times, lies at {log_depth.exp().mean():.3f} m")

# %% [markdown]
# ## 8 · How to start
#
# Seven layers lie between picture and output. How much of the **difference between two pictures** is still there at the end of an untrained network? We send 32 rooms through it and measure, after each layer, the standard deviation across the rooms.
#
# PyTorch's own start draws weights so small that each layer with a ReLU passes on only a part of what comes in. He et al. (2015) choose the standard deviation $\sqrt{2/\text{inputs}}$, so that the ReLU's loss is made up for; *inputs* is the number of values that enter one output: kernel area × maps in, for a convolution.
#
# **Predict.** By what factor do the two differ at the output?


# %%
def start_as_he(network):
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return network


@torch.no_grad()
def spread_after_layers(network, pictures):
    maps, spreads = (pictures - 0.45) / 0.27, []
    for layer in [*network.features, nn.Flatten(), network.hidden, nn.ReLU(), network.output]:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            spreads.append(maps.std(dim=0).mean().item())  # of what enters the layer
        maps = layer(maps)
    return [*spreads, maps.std(dim=0).mean().item()]


# %%
crops = depth.to_unit(depth.centre_crop(images[:32], (114, 152)))
torch.manual_seed(0)
spreads = {"PyTorch's own start": spread_after_layers(Coarse(depth.SMALL), crops)}
spreads["He's start"] = spread_after_layers(start_as_he(Coarse(depth.SMALL)), crops)
ratio = spreads["He's start"][-1] / spreads["PyTorch's own start"][-1]
print("at the output, He's start keeps more than 100 times as much:", ratio > 100)

# %%
figure = coarse.signal_figure(spreads)
plots.show(
    figure,
    alt="Standard deviation across rooms after each layer: with PyTorch's start it falls by orders of magnitude, with He's it stays about constant.",
)

# %% [markdown]
# A few hundred times: of seven layers, each passes on about 0.4 of what it does with He's start. With PyTorch's start all rooms look the same to the last layer. It can learn only what all rooms have in common, until the layers before have grown.
#
# `depth.initialise` takes He's start and adds two things. The biases of the last layer begin at the mean log depth of each pixel, so the untrained network says "every room is the mean room"; and its last weights are ten times smaller, so that it says so calmly.

# %% [markdown]
# ## 9 · Half a minute of training
#
# The bare loop: draw a batch, predict, measure the loss, go downhill. Beside the loss we watch something else, **the spread**: the standard deviation, across rooms, of the mean predicted log depth. A network that says the same for each room has a spread of zero, however nice its loss looks. This is the *collapse check*.

# %% tags=["nbval-ignore-output"]
training_frames = rooms.frames("train", 400)  # rendered once, then read from the cache

# %%
model = depth.EigenDepth(**depth.sizes_of(depth.SMALL))
depth.initialise(model, training_frames, torch.Generator().manual_seed(0))
network = model.coarse
optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)


# %%
watched = depth.to_unit(depth.centre_crop(training_frames[0][:50], (114, 152)))
true_means = depth.output_grid(depth.centre_crop(training_frames[1][:50], (114, 152))).log()
true_spread = true_means.mean(dim=(1, 2, 3)).std().item()


@torch.no_grad()
def spread_of(network):
    network.eval()  # no dropout while we look
    spread = network(watched).mean(dim=(1, 2, 3)).std().item()  # (50, 1, 26, 36) -> (50,)
    network.train()
    return spread


# %% [markdown]
# The untrained network says: the mean room. **Predict.** Does it first learn to tell rooms apart, or first to be a better mean room?

# %% tags=["nbval-ignore-output", "live-training"]
curve, total, network = [], 0.0, network.train()
for step in tqdm(range(1, 221), mininterval=1):
    batch = depth.draw_batch(training_frames, depth.SMALL, 16, torch.Generator().manual_seed(step))
    pictures, target, valid = batch
    loss = depth.scale_invariant_loss(network(pictures), target, valid, invariance=0.5)
    optimizer.param_groups[0]["lr"] = 1e-3 * min(1, step / 20) * (1 - step / 221)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
    if step % 20 == 0:
        curve.append((step, total / 20, spread_of(network)))
        total = 0.0

# %% tags=["nbval-ignore-output"]
figure = coarse.training_figure(curve, true_spread)
plots.show(
    figure,
    alt="Over 220 steps the loss falls slowly; the spread of the predictions stays near zero at first, then rises, and remains below that of the truth.",
)

# %%
live = depth.predict(model, images)
everywhere = exact > 0
live_errors = {
    name: depth.measure(live[name], exact, everywhere)["abs_rel"] for name in ("mean", "coarse")
}
print("from the live training, on rooms it has not seen:")
print("  better than the mean room (abs rel):      ", live_errors["coarse"] < live_errors["mean"])
print("  at step 40 less than half the true spread:", curve[1][2] < true_spread / 2)
print("  at the end a larger spread than at step 40:", curve[-1][2] > curve[1][2])
print("  the true spread is reached:               ", curve[-1][2] > true_spread)

# %% [markdown]
# First a better mean room: enlarging has brought all training pictures nearer by a fifth or so, and one constant for all of them lowers the loss. The spread hardly moves meanwhile.
#
# This is the **collapse plateau**: for the first hundreds of steps the best that the network finds is nearly one picture for all. The README of that reimplementation says that the coarse output "seems unchanged to different input images"; whatever its cause, this is what it looks like. Two things help: He's start, and patience.

# %% [markdown]
# ## 10 · Here is one we prepared earlier

# %% tags=["explorer"]
card = checkpoints.load_card("eigen-rooms")
shipped, card = checkpoints.load("eigen-rooms", depth.EigenDepth(**card.architecture))

# %%
print("from the card of the shipped weights:")
print(f"  trained by: {card.command}")
print(f"  on: {card.training_data}")
print(f"  computing time, both networks: {card.cpu_seconds / 60:.0f} minutes of CPU")


# %% [markdown]
# The same loop, longer, on more rooms, with the Muon optimiser of lesson 03 for the convolutions and with averaged weights. The **mean room** stays in each table: the depth that training rooms have at each pixel on average. Whoever does not beat it has learned nothing from the picture.

# %%
predicted = depth.predict(shipped, images)
tables = {
    "mean room, measured now": depth.measure(predicted["mean"], exact, everywhere),
    "coarse, measured now": depth.measure(predicted["coarse"], exact, everywhere),
    "mean room, from the card": card.metrics["rooms"]["mean"],
    "coarse, from the card": card.metrics["rooms"]["coarse"],
}
print(f"{'shipped weights, test rooms':28}" + " ".join(f"{name[:8]:>8}" for name in depth.METRICS))
for name, table in tables.items():
    print(f"{name:28}" + " ".join(f"{table[metric]:8.3f}" for metric in depth.METRICS))

# %%
check = depth.collapse_check(predicted["coarse"], exact, everywhere)
print(f"collapse check: spread {check['spread']:.3f}, of the truth {check['true_spread']:.3f},")
print(f"correlation of the two {check['correlation']:.2f}")

# %% [markdown]
# The first three columns are shares of pixels within 25 %, 56 % and 95 % of the truth (larger is better); the others are errors (lesson 05). "Measured now" is on the 100 test rooms of this lesson, the card on 400, of which these hundred are harder. (Lesson 05 found .366 for the mean room: of 300 rooms, at full size, where a sensor would see.)
#
# Numbers alone hide much. Here are rooms from the best to the worst, by the scale-invariant error; each row has one colour scale. (Pictures of a bare wall are left out: there is little to get wrong.)

# %%
errors, relief = (
    torch.stack([maps.std() for maps in logs])
    for logs in (predicted["coarse"].log() - exact.log(), exact.log())
)
order = errors.argsort()
order = order[relief[order] > 0.25]
shown = order[(torch.linspace(0.02, 0.98, 5) * len(order)).long()].tolist()
titles = [f"scale-inv. error {errors[index]:.2f}" for index in shown]

# %%
figure = coarse.results_figure(images[shown], predicted["coarse"][shown], exact[shown], titles)
plots.show(
    figure,
    alt="Five rooms from best to worst: picture, coarse prediction, truth. The prediction gets the walls and the floor, and blurs the furniture.",
)

# %% [markdown]
# The network gets the room: floor, walls, which corner is far. It does not get the chair. The output has only 26 × 36 cells, but that is not all of it. All of it has to pass through 512 numbers, and a fully connected layer shares nothing between places: what it learns of a chair on the left says nothing of a chair on the right. Coarse depth is smooth because rooms are what it can afford to know.
#
# Real pictures next. The card of `eigen-nyu` has the numbers for NYU Depth v2; with the data on your machine, the marked cell measures them again.

# %%
nyu_card = checkpoints.load_card("eigen-nyu")
print(f"{'NYU, from the card':28}" + " ".join(f"{name[:8]:>8}" for name in depth.METRICS))
for name in ("mean", "coarse"):
    table = nyu_card.metrics["nyu"][name]
    print(f"{name:28}" + " ".join(f"{table[metric]:8.3f}" for metric in depth.METRICS))
print(f"spread {nyu_card.metrics['nyu']['collapse']['coarse']['spread']:.3f}", end=", ")
print(f"of the truth {nyu_card.metrics['nyu']['collapse']['coarse']['true_spread']:.3f}")

# %% tags=["marked"]
# With NYU Depth v2 at hand (LESSONS_DATA, or 3 GB of download): set to True and run.
measure_live = False
if measure_live:
    nyu, _ = checkpoints.load("eigen-nyu", depth.EigenDepth(**nyu_card.architecture))
    small = datasets.nyu_depth("test")
    _, nyu_depth, nyu_valid = small
    while small[0].shape[-1] > 160:
        small = datasets.halve_frames(*small)
    on_nyu = depth.predict(nyu, small[0], frame=tuple(nyu_depth.shape[-2:]))
    scored = nyu_valid & depth.eigen_crop(*nyu_depth.shape[-2:])
    for name in ("mean", "coarse"):
        table = depth.measure(on_nyu[name], nyu_depth, scored)
        print(f"{name:28}" + " ".join(f"{table[metric]:8.3f}" for metric in depth.METRICS))
    rows = [0, 100, 200, 300, 400]
    figure = coarse.results_figure(
        small[0][rows], on_nyu["coarse"][rows], (nyu_depth * scored)[rows], [""] * 5
    )
    plots.show(figure, alt="Five NYU frames with the coarse prediction and the measured depth.")

# %% [markdown]
# ## 11 · What does it look at?
#
# Coarse 7 adds up one map for each of its hidden numbers: *log depth = bias + Σ hidden number × map*. So each column of its weight matrix is a picture that you can look at (the paper's figure 2).
#
# **Predict.** What will they look like: furniture, edges, or something else?

# %%
weights = (
    shipped.coarse.output.weight.detach()
)  # (936, 512): a row a pixel, a column a hidden number
maps = weights.T.unflatten(1, (26, 36))  # (512, 26, 36)
strongest = maps.flatten(1).norm(dim=1).argsort(descending=True)

# %%
figure = coarse.weights_figure(maps[strongest[:32]])
plots.show(
    figure,
    alt="32 maps in orange and purple, most of them smooth, each on its own scale: slopes from side to side, from top to bottom, corners and blobs.",
)

# %% [markdown]
# These are the 32 strongest of 512, each on a colour scale of its own; the paper's figure picks some evenly and sorts them by norm. They are parts of rooms. A ReLU makes the hidden numbers zero or positive, so each map comes in its own sign only: a near wall on one side, a near thing at one place (the purple blobs: lamps, plants), a far corner. A map that is nearly all of one colour makes most of the room deeper at once, much like the factor of section 4. The network composes a room from some of these, as one composes a chord.
#
# And which input pixels have a say? Take **one** output pixel and compute its gradient with respect to the whole picture. (Blurred a little, since single pixels are noisy.)


# %%
def say(picture, row, column):
    """Which pixels of the picture move log depth at this cell, blurred over 9 x 9."""
    picture = picture.clone().requires_grad_()
    shipped.coarse(picture)[0, 0, row, column].backward()
    size = picture.grad.norm(dim=1, keepdim=True)  # over the three colours
    return nn.functional.avg_pool2d(size, 9, stride=1, padding=4)[0, 0]  # (114, 152)


# %%
room = depth.to_unit(depth.centre_crop(images[34:35], (114, 152)))
cells = [(8, 18), (22, 6)]  # on the far wall; on the floor
slopes = [say(room, *cell) for cell in cells]
slopes = [slope / slope.max() for slope in slopes]

# %%
for name, slope, (row, column) in zip(("far", "near"), slopes, cells, strict=True):
    y, x = (depth.FIRST + depth.STRIDE * place for place in (row, column))
    window = slope[max(0, y - 22) : y + 23, max(0, x - 22) : x + 23]  # 45 x 45 around it
    outside = bool(window.sum() < slope.sum() / 2)
    print(f"{name}: more than half of the say lies outside 45 x 45:", outside)

# %%
figure = coarse.sensitivity_figure(room, slopes, [(8 * 4 + 5, 18 * 4 + 5), (22 * 4 + 5, 6 * 4 + 5)])
plots.show(
    figure,
    alt="A room with two marked pixels, and for each the map of input pixels that influence its depth: spread widely for the one on the far wall, mostly in the lower left for the one on the floor.",
)

# %% [markdown]
# For the far pixel the say is spread widely; for the floor pixel most of it lies in the lower left, yet more than half is outside 45 × 45: section 1 asked for this. (45 × 45 pixels are what an output of the local network in lesson 07 sees.)
#
# ### Try to break it: the network
#
# Cover a part of a room with gray, or lift and lower the picture. For the latter the rooms are rendered 40 rows taller on each side, and the network sees another window of the same view: each thing stands higher or lower in the picture, **and its true depth stays what it was**. (A moved picture is compared with the prediction from before moved along, so that each thing is compared with itself.)
#
# **Cover more and more of the bottom: does the depth of what you still see change? What do you expect when the picture is lifted, so that everything stands higher in it: nearer or farther? And lowered?**

# %% tags=["explorer"]
seeds = [rooms.seeds("test", 100)[number] for number in (34, 4, 15, 20, 24, 94)]
coarse.edits(shipped.coarse, coarse.tall_rooms(seeds, (114, 152)))

# %% [markdown]
# <details><summary>Answer</summary>
#
# The depth of what you still see changes, too: the network had used the covered part to judge it. Moved by 40 pixels, all six rooms follow: lifted they become farther, by 1 to 21 %, lowered nearer, by 1 to 28 %, and always unevenly. By 20 pixels not every room does. In truth nothing changed. In the training rooms, what stands low in the picture mostly is near, and the network goes by that. Van Dijk and de Croon (2019) found the same in a network trained on films from a car. It is a good rule in the training set, not a law.
#
# </details>

# %% [markdown]
# ## 12 · What goes wrong in practice
#
# **A ReLU on the output.** Log depth below zero is depth below one metre. A reimplementation with a ReLU behind Coarse 7 cannot say it.

# %%
near = exact < 1
perfect_with_relu = exact.log().relu().exp()  # not even a perfect network ...
error = ((perfect_with_relu - exact) / exact)[near]
print(f"{near.float().mean():.1%} of the pixels lie nearer than 1 m; with a ReLU even a perfect")
print(f"network errs there by {error.mean():.0%} on average, by {error.max():.0%} where most")

# %%
wanted = torch.tensor(0.6).log()
for name, last in (("linear", nn.Identity()), ("ReLU", nn.ReLU())):
    output = torch.tensor(0.8).log().requires_grad_()  # so far the network says 0.80 m
    (last(output) - wanted).square().backward()
    print(f"{name:6} says {last(output).exp():.2f} m, 0.60 m is wanted: slope {output.grad:.3f}")

# %% [markdown]
# A slope of zero: where the output is negative, the ReLU passes no gradient back. From this picture the pixel learns nothing; and if its output is negative for every picture, never again.
#
# **Missing depth as a tiny number.** You met it in lesson 05; here is what it does to the *loss*. Zero has no logarithm, so somebody writes 0.00001 m into the holes instead of masking them. Its logarithm is −11.5.
#
# **Predict.** About one pixel in thirty is missing. How much of the L2 loss is theirs?

# %%
holes = torch.where(measured, exact, 1e-5)
squares = (predicted["coarse"].log() - holes.log()).square()
print(f"missing: {(~measured).float().mean():.1%} of the pixels")
print(f"their share of the loss: {squares[~measured].sum() / squares.sum():.0%}")

# %%
best, best_masked = holes.log().mean().exp(), exact[measured].log().mean().exp()
print(f"best constant depth: {best:.2f} m with holes as 0.00001 m, {best_masked:.2f} m masked")

# %% [markdown]
# Such a loss can fall a long way while the network learns nothing but where the sensor fails.
#
# **One output for every picture.** Start as before, but at twenty times the learning rate, at once: without the slow first twenty steps of section 9, and without the decay.

# %% tags=["nbval-ignore-output", "live-training"]
hasty = depth.EigenDepth(**depth.sizes_of(depth.SMALL))
depth.initialise(hasty, training_frames, torch.Generator().manual_seed(0))
optimizer = torch.optim.Adam(hasty.coarse.parameters(), lr=2e-2)
hasty_losses = []
for step in tqdm(range(1, 31), mininterval=1):
    batch = depth.draw_batch(training_frames, depth.SMALL, 16, torch.Generator().manual_seed(step))
    loss = depth.scale_invariant_loss(hasty.coarse(batch[0]), *batch[1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    hasty_losses.append(loss.item())

# %%
hasty.eval()
with torch.no_grad():
    first, second = hasty.coarse(watched[:2])
    alive = (hasty.coarse.features(watched) > 0).float().mean().item()
print("from the live training at twenty times the rate:")
print(f"  the loss exploded at first, above 10: {max(hasty_losses) > 10}")
print(f"  and looks ordinary at the end, below 0.2: {sum(hasty_losses[-10:]) / 10 < 0.2}")
print(f"  two rooms get the same answer, to 0.001: {(first - second).abs().max() < 1e-3}")
print(f"  spread over 50 rooms is below 0.01: {spread_of(hasty.coarse) < 0.01}")
print(f"  features that are not zero: less than 1 %: {alive < 0.01}")

# %% [markdown]
# A few large steps have pushed the ReLUs so far below zero that they answer to nothing. What is left are the biases of the last layer, and these learn the mean room. So the loss looks healthy again: look at where the loss of section 9 stood by then. The collapse check takes one line. Print it beside every loss.

# %% [markdown]
# ## 13 · Paper versus ours
#
# NYU Depth v2, the 654 test frames. The published rows are from the paper, ours from the cards of the shipped weights; a test of the course measures them again.

# %%
published = {
    "paper: mean": (0.418, 0.711, 0.874, 0.408, 0.581, 1.244, 0.430, 0.304),
    "paper: Make3D (2009)": (0.447, 0.745, 0.897, 0.349, 0.492, 1.214, 0.409, 0.325),
    "paper: coarse": (0.618, 0.891, 0.969, 0.228, 0.223, 0.871, 0.283, 0.221),
}
ours = {
    f"ours: {name}, {data}": [found.metrics[data][name][metric] for metric in depth.METRICS]
    for data, found in (("nyu", nyu_card), ("rooms", card))
    for name in ("mean", "coarse")
}

# %%
print(f"{'':22}" + " ".join(f"{name[:8]:>8}" for name in depth.METRICS))
for name, row in {**published, **ours}.items():
    print(f"{name:22}" + " ".join(f"{value:8.3f}" for value in row))

# %% [markdown]
# The two *mean* rows for NYU agree within 3 %. They need not agree better: the paper's mean is taken over its 120,000 frames and scored where its crop meets Make3D's; ours is taken over the 715 frames trained on, and scored on the crop that later papers agreed on. (Lesson 05 has .402: all 795 frames, at 240 × 320.)
#
# The *coarse* rows are another matter. The paper trained on 120,000 frames of raw video, at twice the resolution, with thirty times as many weights, and began with convolutions trained on ImageNet. Ours had 715 of the 795 labelled training frames (the others chose the step) and rendered rooms before them. That this gets well past the mean, and not as far as the paper, is what one should expect. The rooms are easier than NYU (compare the two mean rows): never compare across the two.
#
# Is λ = 0.5 better than 0? The paper says plainly that it gained nothing in numbers, and a little to the eye. A run of half a minute is still on the plateau of section 9 and cannot decide it.

# %% [markdown]
# ## Summary
#
# - A patch cannot know its depth; the coarse network's fully connected layers let each output pixel see the whole picture, at the price of sharpness.
# - In log depth a factor is a constant, and $\text{mean}(d^2) - \lambda\,\text{mean}(d)^2$, per picture and over known depth, forgives a part of it.
# - Picture and depth are varied together, the start decides whether pictures are told apart, and the collapse check says whether they are.
#
# **Next:** [07 · Fine depth](07_fine_depth.ipynb) sharpens the blurred rooms.
#
# **Reading.** Eigen, Puhrsch, Fergus (NeurIPS 2014); He et al., *Delving Deep into Rectifiers* (ICCV 2015), for the start; van Dijk and de Croon, *How Do Neural Networks See Depth in Single Images?* (ICCV 2019).
