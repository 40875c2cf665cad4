# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 02 · SRCNN layer by layer
#
# Three convolutions turn a blurred enlargement into a sharp picture; here you build each of them from a dot product that you can read.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/cnns-for-other-image-tasks/blob/main/notebooks/02_srcnn_layers.ipynb)
#
# **Budget:** 20 s on a CPU core (GPU: not measured) · 1.5 GB of memory · nothing to download
#
# **You will be able to**
# - compute a convolution three ways (loop, matrix product, `F.conv2d`) and say why they agree;
# - say what F1, F2 and F3 do: patches meet filters, a small network at each pixel, a weighted average of overlapping patches;
# - derive the output size, the number of parameters and the receptive field of such a network, and check all three;
# - say why SRCNN is trained without padding, tested with repeated borders, and spoilt by zeros.
#
# **Lecture and paper:** the lecture's slide with the three layers of SRCNN; sections 3.1 and 3.2 of Dong, Loy, He, Tang, *Image Super-Resolution Using Deep Convolutional Networks* (2015), [arXiv 1501.00092](https://arxiv.org/abs/1501.00092).

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
import time

import torch
import torch.nn.functional as F
from torch import nn

from lessons_utils import checkpoints, datasets, plots, superres
from lessons_utils.explorers import layers

# %% [markdown]
# ## 1 · The whole network, once
#
# Take a photograph, make it three times smaller, and enlarge it bicubically again (lesson 01). The result has the right size, but it is blurred. SRCNN gets this enlargement, called $Y$, and sharpens it in three steps:
#
# $$F_1 = \max(0,\; W_1 * Y + B_1), \qquad F_2 = \max(0,\; W_2 * F_1 + B_2), \qquad F_3 = W_3 * F_2 + B_3$$
#
# $W$ are filters, $B$ are biases (one number a filter), $*$ slides a filter over a picture, and $\max(0, \cdot)$ replaces negative numbers by zero. $F_3$ is the sharpened picture. The sizes of the filters name the network: **9-1-5** has filters of 9 × 9, 1 × 1 and 5 × 5 pixels.
#
# We start with trained weights, so that everything you compute is about a network that works. Everything in this lesson is small: it stays on the CPU.

# %% tags=["explorer"]
low, upscaled, high = superres.prepare(datasets.photograph("astronaut"), scale=3)
view = plots.crop(upscaled, top=60, left=345, size=150)  # (1, 1, 150, 150), luma
trained, card = checkpoints.load("srcnn-9-1-5-x3", superres.SRCNN(9, 1, 5))
trained.requires_grad_(False)  # we only look; nothing is trained here

# %%
f1 = trained.patch_extraction(view).relu()  # (1, 1, 150, 150) -> (1, 64, 142, 142)
f2 = trained.mapping(f1).relu()  # -> (1, 32, 142, 142)
f3 = trained.reconstruction(f2)  # -> (1, 1, 138, 138)

# %%
stages = {"Y: bicubic, × 3": view, "F1: 64 maps": plots.tile(f1[0], columns=8, padding=3)}
stages |= {"F2: 32 maps": plots.tile(f2[0], columns=6, padding=3), "F3: the output": f3}
figure = plots.picture_row(stages, width=12)
alt = "A blurred space shuttle; 64 small maps of it, some like the photograph, many showing only edges; 32 maps after the second layer; the sharpened shuttle."
plots.show(figure, alt)

# %% [markdown]
# From one picture to 64, to 32, to one. Some maps of F1 look like the photograph, many light up along edges only, some stay black. By the end of this lesson each of these numbers is one that you could compute by hand.

# %% [markdown]
# ## 2 · F1: a patch meets a filter
#
# A **patch** is a small window of the picture: here 9 × 9 pixels, so 81 numbers $p_1 \dots p_{81}$. A **filter** has 81 numbers too, $w_1 \dots w_{81}$. Their dot product, plus a bias $b$, is one number:
#
# $$r = \sum_{i=1}^{81} w_i \, p_i + b$$
#
# The number says how much the patch looks like the filter. To make it mean something, we make the first filter ourselves: minus 1/36 on the four columns at the left, 0 in the middle, plus 1/36 on the four columns at the right.
#
# **Predict:** the patch below lies on an edge, dark on the left, bright on the right. What does $r$ measure, and what sign does it have?

# %%
edge = torch.zeros(9, 9)
edge[:, :4], edge[:, 5:] = -1 / 36, 1 / 36

patch = view[0, 0, 36:45, 86:95]  # 9 x 9 pixels around row 40, column 90
r = (edge * patch).sum()
print(f"answer of the filter:               {r:.4f}")
print(f"mean of the right minus left side:  {patch[:, 5:].mean() - patch[:, :4].mean():.4f}")

# %%
figure = layers.dot_product_figure(view, row=40, column=90, kernel=edge)
alt = "A 9 x 9 window on the edge of a booster rocket, the magnified patch, the filter with a negative left and a positive right half, and the product, whose bright right half outweighs the left."
plots.show(figure, alt)

# %% [markdown]
# <details><summary>Answer</summary>
#
# $r$ is the mean of the right side minus the mean of the left side: here the right side is brighter by about half of the range from black to white, so $r$ is positive. On a flat patch $r$ is 0, whatever its brightness. If you turn the patch round, $r$ changes its sign.
#
# </details>
#
# A dot product has no idea of rows and columns: it sees two lists of 81 numbers. That is what makes the next step possible.

# %% [markdown]
# ## 3 · Every position: a loop, a matrix product, a convolution
#
# One patch gives one number. Now take every position where a 9 × 9 window fits into the picture. The code that says this most plainly is a double loop.
#
# **Predict:** `view` has 150 × 150 pixels. How many rows and columns of answers come out?


# %%
def slide(picture, kernel):
    size = kernel.shape[-1]
    rows, columns = (length - size + 1 for length in picture.shape)
    answers = torch.empty(rows, columns)
    for row in range(rows):
        for column in range(columns):
            answers[row, column] = (
                kernel * picture[row : row + size, column : column + size]
            ).sum()
    return answers


# %%
started = time.perf_counter()
looped = slide(view[0, 0], edge)  # (150, 150) -> (142, 142)
loop_seconds = time.perf_counter() - started
print("picture", tuple(view.shape[-2:]), "-> answers", tuple(looped.shape))

# %% [markdown]
# The window's top row can be row 0, 1, …, 141: 142 positions, since 150 − 9 + 1 = 142.
#
# The loop makes 20,164 dot products, one after the other. Better: first copy all patches into the columns of one matrix (`unfold`), then do all dot products as **one matrix product**. This is what fast libraries build on; the price is memory, since each pixel is copied up to 81 times.

# %%
started = time.perf_counter()
patches = F.unfold(view, kernel_size=9)  # (1, 1, 150, 150) -> (1, 81, 20164): one column a patch
multiplied = edge.reshape(1, 81) @ patches  # (1, 81) @ (1, 81, 20164) -> (1, 1, 20164)
multiplied = multiplied.view(1, 1, 142, 142)
unfold_seconds = time.perf_counter() - started
print("at least five times faster than the loop:", loop_seconds > 5 * unfold_seconds)

# %% [markdown]
# The third way is the one you know. `F.conv2d` takes pictures (B, C, H, W) and filters (filters, C, height, width):


# %%
def same(one, other):
    return (one - other).abs().max().item() < 1e-5  # the largest difference anywhere


# %%
convolved = F.conv2d(view, edge.view(1, 1, 9, 9))  # (1, 1, 150, 150) -> (1, 1, 142, 142)
print("unfold and matmul equals the loop, to 1e-5:", same(multiplied, looped))
print("F.conv2d equals the loop, to 1e-5:         ", same(convolved, looped))

# %% [markdown]
# Three ways, one result. The rest of this lesson moves freely between them.
#
# **A word on the word.** In mathematics, *convolution* first flips the filter, top to bottom and left to right. What `F.conv2d` does, without a flip, is called *cross-correlation*. For learned filters this makes no difference: training would learn the flipped filter. It matters as soon as you carry weights from one program to another.
#
# **Predict:** what do you get from our edge filter when it is flipped?

# %%
flipped = F.conv2d(view, edge.flip(0, 1).view(1, 1, 9, 9))
print("the flipped filter gives minus the answer:", same(flipped, -convolved))

# %% [markdown]
# ### Four filters, four directions
#
# The same filter can be turned. A filter at angle θ compares the pixels on both sides of a line.


# %%
def edge_filter(degrees):
    angle = torch.deg2rad(torch.tensor(float(degrees)))
    y, x = torch.meshgrid(torch.arange(-4.0, 5.0), torch.arange(-4.0, 5.0), indexing="ij")
    side = (x * angle.cos() + y * angle.sin()).round(decimals=3).sign()
    return side / (side > 0).sum()


# %%
turned = {f"{degrees}°": edge_filter(degrees) for degrees in (0, 45, 90, 135)}
print("the filter at 0° is the one from above:", same(turned["0°"], edge))

# %%
figure = layers.answers_figure(view, turned)
alt = "Four edge filters, at 0, 45, 90 and 135 degrees, and under each its answers: the upright filter lights up on the sides of the rockets, the level one on the wing and the nose, the slanted ones on slanted outlines."
plots.show(figure, alt)

# %% [markdown]
# Orange: brighter on the filter's orange side. Purple: the other way round. White: no edge, or an edge along the wrong direction.

# %% [markdown]
# ## 4 · ReLU: what it drops
#
# After the dot product, SRCNN applies $\max(0, r)$, the *rectified linear unit* (ReLU). Without it, three convolutions in a row would be one convolution with a larger filter.
#
# **Predict:** which edges does the upright filter still report after the ReLU? What would you add to the network to get the others back?

# %%
kept = convolved.relu()
other_filter = F.conv2d(view, -edge.view(1, 1, 9, 9)).relu()
print(f"share of answers that the ReLU sets to zero: {(kept == 0).float().mean():.2f}")
print("the two together lose nothing:", same(kept - other_filter, convolved))

# %%
rows = {"before the ReLU": convolved, "after: dark → bright": kept}
figure = layers.signed_row(rows | {"the negated filter: bright → dark": other_filter}, limit=0.5)
alt = "Answers of the upright filter: both signs, only the positive ones after the ReLU, and the positive ones of the negated filter, which are the other edges."
plots.show(figure, alt)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Only edges from dark (left) to bright (right) remain. A second filter with opposite signs reports the others. The ReLU makes each filter a specialist: it answers to one thing and says nothing about its opposite. The **bias** sets how sure it must be: with $b = -0.2$ only edges stronger than 0.2 get through.
#
# </details>

# %% [markdown]
# ## 5 · 64 filters at once
#
# SRCNN has $n_1 = 64$ filters in its first layer, and they are learned. Put each filter into one row of a matrix: then **one** matrix product answers all 64 questions about all patches. Each pixel is now described by 64 numbers instead of one.

# %%
W1 = trained.patch_extraction.weight.reshape(64, 81)  # (64, 1, 9, 9) -> (64, 81)
B1 = trained.patch_extraction.bias.view(64, 1)
by_hand = (W1 @ patches + B1).relu()  # (64, 81) @ (1, 81, 20164) -> (1, 64, 20164)
by_hand = by_hand.view(1, 64, 142, 142)
print("F1 by hand equals the layer, to 1e-5:", same(by_hand, f1))

# %% [markdown]
# ### Try to break it
#
# Move the window with the two sliders. The third picture shows the 64 answers, eight in a row, each relative to that filter's largest answer anywhere in this picture; the filter with the orange frame is drawn beside it.
#
# **Question:** go from the edge (row 40, column 90) to the flat sky (row 20, column 15) and to the dark tank (row 30, column 75). Which filters answer at all three, and what do they report? Which fall silent away from the edge? Could the network do without the first kind?

# %% tags=["explorer"]
layers.patch_responses(trained, view, row=40, column=90)

# %% [markdown]
# <details><summary>Answer</summary>
#
# About fifteen speak up everywhere: strongly in the bright sky, weakly in the dark tank. The weights of each of them add up to clearly more than zero, so what a flat patch gives is its **brightness** times that sum, plus the bias. Filters whose weights add up to about zero report **edges**; where the picture is flat they whisper or fall silent. The network needs the first kind: SRCNN has no shortcut from input to output, so the brightness of the result, too, must pass through these 64 numbers.
#
# </details>

# %% [markdown]
# ## 6 · F2: the same small network at every pixel
#
# The second layer of 9-1-5 has 32 filters of 1 × 1 pixels. A 1 × 1 filter has no neighbours to look at: for each pixel it takes the 64 numbers of F1 and mixes them. That is a fully connected layer, `nn.Linear(64, 32)`, applied to each pixel's list of 64 numbers on its own. The paper calls it the *non-linear mapping*.

# %%
mlp = nn.Linear(64, 32)
mlp.weight.data = trained.mapping.weight[:, :, 0, 0]  # (32, 64, 1, 1) -> (32, 64)
mlp.bias.data = trained.mapping.bias

lists = f1.permute(0, 2, 3, 1)  # (1, 64, 142, 142) -> (1, 142, 142, 64)
mapped = mlp(lists).relu().permute(0, 3, 1, 2)  # -> (1, 32, 142, 142)
print("nn.Linear at each pixel equals the 1 x 1 convolution, to 1e-5:", same(mapped, f2))

# %% [markdown]
# **Predict:** shuffle all pixels of F1, like the pieces of a puzzle, then apply F2. Is this the same as applying F2 first and shuffling afterwards? And with the 5 × 5 filters of the third layer?

# %%
order = torch.randperm(142 * 142)


def shuffle(maps):
    return maps.flatten(2)[..., order].view(maps.shape)  # the same new order for every map


# %%
by_pixel = trained.mapping  # 1 x 1
by_patch = nn.Conv2d(32, 1, 5, padding=2)  # 5 x 5, untrained; padded to compare at one size
print("1 x 1: the order does not matter:", same(by_pixel(shuffle(f1)), shuffle(by_pixel(f1))))
print("5 x 5: the order does not matter:", same(by_patch(shuffle(f2)), shuffle(by_patch(f2))))

# %% [markdown]
# A 1 × 1 layer sees pixels, not pictures. In 9-3-5 and 9-5-5 the second layer sees a small neighbourhood of these lists as well; that costs weights and time, and gains one or two tenths of a dB (lesson 04).

# %% [markdown]
# ## 7 · F3: overlapping patches, averaged
#
# Older methods sharpen patch by patch. Each position proposes a whole small patch of the result, the proposals overlap, and where they overlap they are averaged. Why average? Suppose each position proposes the true 5 × 5 patch, spoilt by errors of its own, of about 0.1.
#
# **Predict:** every pixel gets 25 proposals. How large is the error of their average?

# %%
truth = plots.crop(high, 60, 345, 150)
proposals = F.unfold(truth, 5)  # (1, 1, 150, 150) -> (1, 25, 21316): one patch a position
proposals = proposals + 0.1 * torch.randn(
    proposals.shape, generator=torch.Generator().manual_seed(0)
)
averaged = F.fold(proposals, (150, 150), 5) / 25  # pastes all patches, adding where they overlap
error = (averaged - truth)[..., 4:-4, 4:-4].std()  # where all 25 are present
print(f"error of one proposal 0.100, of the average of 25: {error:.3f}")

# %% [markdown]
# Errors that have nothing to do with each other cancel: with 25 proposals they shrink to $1/\sqrt{25}$, a fifth.
#
# `F.fold` is `unfold` backwards. **Pasting patches and averaging is itself a convolution.** See it first with the dullest proposal: each pixel proposes a flat 5 × 5 patch of its own value.
#
# **Predict:** which 5 × 5 filter does the same in one convolution?

# %%
one_map = f2[:, :1]  # one of the 32 maps, (1, 1, 142, 142)
flat = one_map.flatten(2).expand(1, 25, -1)  # (1, 25, 20164): for each pixel, 25 times its value
pasted = F.fold(flat, (146, 146), 5) / 25  # patches stick out by 2 pixels on each side
filtered = F.conv2d(one_map, torch.full((1, 1, 5, 5), 1 / 25))  # (1, 1, 138, 138)
print("averaging equals the filter with 25 times 1/25:", same(pasted[..., 4:-4, 4:-4], filtered))

# %% [markdown]
# Now the learned version. A pixel of F2 is a list of 32 numbers. To each number belongs a 5 × 5 pattern, a filter of the third layer; the pixel proposes the patch *first number × first pattern + second number × second pattern + …*. The patterns contain the division by 25, and they are learned: the average has become a **weighted** one.
#
# Here the flip returns. What a pixel gives to its right-hand neighbour, that neighbour takes from its left. So the patterns that are pasted are the filters, flipped.

# %%
patterns = trained.reconstruction.weight[0].flip(1, 2).flatten(1)  # (32, 5, 5) -> (32, 25)
proposals = patterns.T @ f2.flatten(2)  # (25, 32) @ (1, 32, 20164) -> (1, 25, 20164)
pasted = F.fold(proposals, (146, 146), 5) + trained.reconstruction.bias
print("pasting learned patches equals F3, to 1e-5:", same(pasted[..., 4:-4, 4:-4], f3))

# %% [markdown]
# Look at it from the side of one output pixel: its 25 neighbours (itself among them) each propose a number for it, and the output is their sum plus the bias.

# %%
row, column = 38, 86  # of the output; its neighbours in F2 are rows 38 to 42, columns 86 to 90
lists = f2[0, :, row : row + 5, column : column + 5]  # (32, 5, 5)
shares = (trained.reconstruction.weight[0] * lists).sum(0)  # (5, 5): what each one proposes
bias = trained.reconstruction.bias.item()
print(f"25 proposals {shares.sum():.3f} + bias {bias:.3f} = {shares.sum() + bias:.3f}")
print(f"the output of the network       {f3[0, 0, row, column]:.3f}")

# %%
own = F.conv2d(f2, trained.reconstruction.weight[..., 2:3, 2:3])[..., 2:-2, 2:-2]
figure = layers.proposals_figure(shares, own, f3 - own, f3)
alt = "A 5 x 5 table of proposals for one output pixel, the largest in the middle; the picture that the pixels propose for themselves, on a scale that goes beyond white; what the neighbours add, negative nearly everywhere and most so where the picture is bright; the output."
plots.show(figure, alt)

# %% [markdown]
# Training has made more of it than an average. Each pixel's own proposal is much like the input, but too strong (look at its scale); its neighbours together take away something like a blurred copy, most where the picture is bright. What is left has steeper edges than the input. Photographers know this as *unsharp masking*.
#
# The weights that the authors published do the same, shared out more evenly: in their 9-1-5 (91 images, × 3) the pixel itself proposes 1.2 here, its four nearest neighbours add about 0.4 each, and the outer ring takes about 0.2 away, each. Ours began as "output = input" (lesson 03), and one can see it.
#
# F3 has **no ReLU**: it must be able to subtract, and its sum is the picture.

# %% [markdown]
# ## 8 · The same three steps, before there were networks
#
# SRCNN was designed to mirror an older method, **sparse coding** (the paper's section 3.2). That method has a *dictionary*: a list of typical low-resolution patches, and beside each its high-resolution twin.
#
# | sparse coding | SRCNN |
# |---|---|
# | project the patch on the low-resolution dictionary | F1: a dot product with each of 64 filters |
# | a solver finds the few entries that explain the patch, and their amounts | F2: a fixed mapping, 64 numbers → 32, one pass |
# | add up their high-resolution twins, average the overlapping patches | F3: patterns pasted and averaged, one convolution |
#
# What is new: no solver that iterates, and all three steps are learned **together**, for the one goal that the final picture is right. And more pixels have a say: 13 × 13 = 169 for one output pixel; the paper counts 81 for the methods it compares with.

# %% [markdown]
# ## 9 · Assembled
#
# Here is the network, in full. `same_size=False` is a plain pass as above; `same_size=True` first repeats the pixels of the border, so that the output is as large as the input (section 11 says why it is done this way).


# %%
class SRCNN(nn.Module):
    def __init__(self, f1=9, f2=5, f3=5, n1=64, n2=32):
        super().__init__()
        self.patch_extraction = nn.Conv2d(1, n1, f1)
        self.mapping = nn.Conv2d(n1, n2, f2)
        self.reconstruction = nn.Conv2d(n2, 1, f3)

    def forward(self, upscaled, same_size=True):
        def padded(maps, layer):
            border = layer.kernel_size[0] // 2 if same_size else 0
            return F.pad(maps, (border,) * 4, mode="replicate")

        f1 = self.patch_extraction(padded(upscaled, self.patch_extraction)).relu()
        f2 = self.mapping(padded(f1, self.mapping)).relu()
        return self.reconstruction(padded(f2, self.reconstruction))


# %% [markdown]
# The finished form is `superres.SRCNN`: the same code with its checks. The layers have the same names, so the trained weights fit into yours:

# %%
mine = SRCNN(9, 1, 5).requires_grad_(False)
mine.load_state_dict(trained.state_dict())
sharpened = mine(upscaled)  # (1, 1, 510, 510) -> (1, 1, 510, 510)
print("yours equals superres.SRCNN, to 1e-5:", same(sharpened, trained(upscaled)))

# %%
print("PSNR of this photograph, x3, with the shipped weights:")
print(f"  bicubic      {superres.score(upscaled, high, scale=3).psnr:.2f} dB")
print(f"  SRCNN 9-1-5  {superres.score(sharpened, high, scale=3).psnr:.2f} dB")

# %%
pictures = {"bicubic × 3": upscaled, "your SRCNN": sharpened, "the truth": high}
close = {title: plots.crop(picture, 60, 345, 150) for title, picture in pictures.items()}
figure = plots.picture_row(close, width=12)
alt = "The shuttle: blurred after bicubic enlargement, with sharp outlines after SRCNN, and the original with finer detail still."
plots.show(figure, alt)

# %% [markdown]
# And all of it by hand: two matrix products over patches and one per pixel, no convolution anywhere.


# %%
def layer_by_hand(maps, layer):
    filters, _, size, _ = layer.weight.shape
    rows, columns = (length - size + 1 for length in maps.shape[-2:])
    answers = layer.weight.reshape(filters, -1) @ F.unfold(maps, size) + layer.bias.view(-1, 1)
    return answers.view(1, filters, rows, columns)


# %%
h1 = layer_by_hand(view, mine.patch_extraction).relu()
h2 = layer_by_hand(h1, mine.mapping).relu()
h3 = layer_by_hand(h2, mine.reconstruction)
for name, ours, theirs in (("F1", h1, f1), ("F2", h2, f2), ("F3", h3, f3)):
    print(f"{name} by hand equals the layer, to 1e-5:", same(ours, theirs))

# %% [markdown]
# ## 10 · Three numbers to derive
#
# **Output size.** A window of $f$ pixels fits into $n$ pixels at $n - f + 1$ positions. Three unpadded layers leave
#
# $$n - (f_1 - 1) - (f_2 - 1) - (f_3 - 1) = n - f_1 - f_2 - f_3 + 3$$
#
# The paper trains on squares of 33 × 33 pixels. **Predict:** what comes out of each layer of 9-1-5, and of 9-5-5 as a whole?

# %%
square, sides = view[..., :33, :33], [33]
for layer in (mine.patch_extraction, mine.mapping, mine.reconstruction):
    square = layer(square)
    sides.append(square.shape[-1])
print("9-1-5:", " -> ".join(map(str, sides)))
print("9-5-5: 33 ->", SRCNN(9, 5, 5)(view[..., :33, :33], same_size=False).shape[-1])

# %% [markdown]
# **Parameters.** A filter has as many weights as there are numbers under it: its area times the number of maps that it reads. With $n_1 = 64$ and $n_2 = 32$ filters, the weights are
#
# $$1 \cdot f_1^2 \cdot 64 \;+\; 64 \cdot f_2^2 \cdot 32 \;+\; 32 \cdot f_3^2 \cdot 1$$
#
# and there is one bias a filter: 64 + 32 + 1 = 97, whatever the sizes. For 9-1-5: 5,184 + 2,048 + 800 = 8,032 weights.
#
# **Receptive field.** Which input pixels can change one output pixel? Go backwards: it reads $f_3$ pixels of F2 in a row; the outermost of these read $(f_2 - 1)/2$ pixels further to each side; and so on. In all
#
# $$1 + (f_1 - 1) + (f_2 - 1) + (f_3 - 1) = f_1 + f_2 + f_3 - 2$$


# %%
def count(network):
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    weights = sum(size for name, size in sizes.items() if name.endswith("weight"))
    return weights, sum(sizes.values()) - weights


# %%
weights, biases = count(SRCNN(9, 1, 5))
print(f"9-1-5, counted: {weights:,} weights + {biases} biases = {weights + biases:,} parameters")

# %% [markdown]
# ### Your turn
#
# Work out the three numbers for **9-3-5** with a pencil, write them into the first cell, and run both.

# %%
my_output_side = 0  # of a 33 x 33 square, unpadded
my_parameters = 0  # weights and biases
my_receptive_field = 0  # pixels in a row

# %%
answer = SRCNN(9, 3, 5)
side = answer(view[..., :33, :33], same_size=False).shape[-1]
print(f"output side      yours {my_output_side:>6,}   true {side:>6,}")
print(f"parameters       yours {my_parameters:>6,}   true {sum(count(answer)):>6,}")
print(f"receptive field  yours {my_receptive_field:>6,}   true {33 - side + 1:>6,}")
if my_parameters == count(answer)[0]:
    print("You counted the weights; the 97 biases are missing.")

# %% [markdown]
# ### The receptive field, seen
#
# A derivation can be checked by asking the network itself. Compute the gradient of **one** output pixel with respect to all input pixels: where it is not zero, the input has a say. The first three networks are untrained, since the extent follows from the sizes alone.
#
# **Predict:** in the trained network, do all 169 pixels count about the same?


# %%
def influence(network):
    square = plots.crop(view, 20, 78, 33).clone().requires_grad_()
    output = network(square, same_size=False)
    middle = output.shape[-1] // 2
    output[0, 0, middle, middle].backward()
    return square.grad[0, 0].abs()  # (33, 33)


# %%
networks = {sizes: SRCNN(*map(int, sizes.split("-"))) for sizes in ("9-1-5", "9-3-5", "9-5-5")}
maps = {sizes: influence(network) for sizes, network in networks.items()}
reach = {sizes: int((values.sum(0) > 0).sum()) for sizes, values in maps.items()}
for sizes, pixels in reach.items():
    print(f"{sizes}: the gradient reaches {pixels} x {pixels} pixels")

# %%
maps["9-1-5, trained"] = influence(mine)
figure = layers.influence_figure(maps)
alt = "Squares of 13, 15 and 17 pixels in which an untrained 9-1-5, 9-3-5 and 9-5-5 look at the input, speckled and somewhat weaker at the rim; the trained 9-1-5 also covers 13 pixels, but its influence is strongest around the centre and fades towards the rim."
plots.show(figure, alt)

# %%
for title in ("9-1-5", "9-1-5, trained"):
    share = maps[title] / maps[title].sum()  # (33, 33); the field is rows and columns 10 to 22
    middle, rim = plots.crop(share, 15, 15, 3).mean(), 1 - plots.crop(share, 11, 11, 11).sum()
    print(f"{title:15} share of the influence: a pixel of the middle 3 x 3 {middle:.3f}, ", end="")
    print(f"of the rim {rim / 48:.3f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# No. The trained network listens above all to the pixel itself and to those close by; a pixel at the rim of its receptive field counts about a tenth of that. The receptive field says what **can** count, not what does.
#
# </details>
#
# ### Play with the sizes
#
# **Question:** a receptive field of 17 × 17 can be had in many ways. Among the sizes that the sliders offer with $f_1 + f_2 + f_3 = 19$, which need the fewest weights, which the most? Why is it $f_2$ that costs so much?

# %% tags=["explorer"]
layers.filter_sizes()

# %% [markdown]
# <details><summary>Answer</summary>
#
# Fewest: 7-1-11 and 5-1-13, both with 9,056 weights. Most: 3-15-1, with 461,408. The middle layer reads 64 maps and writes 32, so each position of its filters costs 64 · 32 = 2,048 weights; a position of F1 costs 64, one of F3 costs 32. Reach is cheap at the two ends, but cheap is not the same as good: only a measurement says which network sharpens best (lesson 04).
#
# </details>

# %% [markdown]
# ## 11 · The border: no padding, repeated pixels, zeros
#
# At the border, a window sticks out of the picture. There are three ways to deal with it:
#
# - **No padding.** Only windows that fit. The output is smaller; nothing is invented. SRCNN is *trained* this way: the loss then compares only pixels that were computed from real ones.
# - **Repeated border** (`mode="replicate"`). The picture goes on as it ended. SRCNN is *tested* this way: a user wants the whole picture back.
# - **Zeros**, the default of `nn.Conv2d(..., padding="same")`. Outside is black.
#
# **Predict:** the trained network has never seen zeros. What does it make of a bright sky that ends in black?


# %%
def run(network, picture, mode):
    maps = picture
    for layer in (network.patch_extraction, network.mapping, network.reconstruction):
        border = layer.kernel_size[0] // 2
        maps = layer(F.pad(maps, (border,) * 4, mode=mode))
        maps = maps.relu() if layer is not network.reconstruction else maps
    return maps


# %%
repeated, zeros = run(trained, upscaled, "replicate"), run(trained, upscaled, "constant")
pictures = {"border repeated": repeated, "zeros around it": zeros, "the truth": high}
figure = plots.picture_row({title: p[..., :48, -48:] for title, p in pictures.items()}, width=10)
alt = "The upper right corner of the photograph, magnified. With repeated borders it is plain sky; with zeros a dark frame with a bright line inside runs along both edges."
plots.show(figure, alt)

# %%
print("astronaut, x3, shipped 9-1-5 weights; 3 pixels cut from each border before measuring")
for title, picture in {
    "bicubic": upscaled,
    "SRCNN, repeated": repeated,
    "SRCNN, zeros": zeros,
}.items():
    print(f"  {title:16} {superres.score(picture, high, scale=3).psnr:.2f} dB")

# %%
margin = trained.margin  # 6 pixels: as far as the border can be felt
inside = (..., slice(margin, -margin), slice(margin, -margin))
print("further inside both are equal, to 1e-5:", same(zeros[inside], repeated[inside]))

# %% [markdown]
# The frame is as wide as the receptive field reaches, 6 pixels. Half of that is cut off before measuring, and what is left still costs a good part of what the network gained. The smaller the picture, the more it costs: on the five small pictures of Set5, x3, zeros take the authors' own 9-5-5 from 32.75 dB to 29.98, below bicubic (30.39). Same weights, same network: only the border differs.
#
# In your own networks, `nn.Conv2d(..., padding="same", padding_mode="replicate")` does the right thing.

# %% [markdown]
# ## 12 · Paper versus ours
#
# The paper counts weights without biases. These numbers leave no room for luck: they must agree exactly.

# %%
paper = {"9-1-5": (8_032, 13, 21), "9-3-5": (24_416, 15, 19), "9-5-5": (57_184, 17, 17)}
print("         weights             receptive field     output of 33")
print("         paper    counted    paper    gradient   paper    run")
for sizes, (weights, field, output) in paper.items():
    result = networks[sizes](view[..., :33, :33], same_size=False).shape[-1]
    print(f"{sizes}    {weights:<6,}   {count(networks[sizes])[0]:<6,}     ", end="")
    print(f"{field:<6}   {reach[sizes]:<6}     {output:<6}   {result}")

# %% [markdown]
# The paper describes patches, vectors and averages; its code runs three convolutions. You have now seen that these are the same thing. Its released code counts in another order, though: weights lie column by column, so whoever loads them row by row gets filters with rows and columns exchanged, and loses only 0.01 to 0.02 dB on Set5: a mistake that hardly shows.

# %% [markdown]
# ## 13 · What goes wrong in practice
#
# **`reshape` where `permute` is meant.** A photograph from a file is (H, W, 3). PyTorch wants (3, H, W). Both lines below give the right shape, and no error:

# %%
photo = datasets.photograph("astronaut")[0].permute(1, 2, 0)  # (512, 512, 3), as PIL has it
wrong = photo.reshape(3, 512, 512)  # only renames the axes: the numbers stay in their order
right = photo.permute(2, 0, 1)  # moves the axes
figure = plots.picture_row({"reshape(3, H, W)": wrong, "permute(2, 0, 1)": right}, width=7)
alt = "After reshape: a shredded picture in false colours. After permute: the photograph of the astronaut."
plots.show(figure, alt)

# %% [markdown]
# Look at one picture before you train on thousands.
#
# **A ReLU after the last layer.** "Pixels are not negative" sounds like a reason. Take 20 untrained networks with the paper's initialisation (weights around 0, standard deviation 0.001; lesson 03) and put a ReLU behind F3. **Predict:** how many start with an output that is black nearly everywhere? Black pixels have gradient zero: they teach nothing.

# %%
squares = upscaled.unfold(2, 33, 90).unfold(3, 33, 90).reshape(-1, 1, 33, 33)  # (36, 1, 33, 33)
alive = []
for seed in range(20):
    network = superres.SRCNN(9, 1, 5).requires_grad_(False)
    superres.initialise_as_paper(network, torch.Generator().manual_seed(seed))
    alive.append((network(squares, same_size=False) > 0).float().mean().item())

# %%
alive = torch.tensor(alive)  # share of pixels that a ReLU would let through
print(f"black at more than half of the pixels: {(alive < 0.5).sum()} of 20 networks")
print(f"black everywhere, no gradient at all:  {(alive == 0).sum()} of 20 networks")

# %% [markdown]
# Without that ReLU every pixel has a gradient, and all 20 can learn.
#
# **The output is smaller than the truth.** An unpadded pass returns fewer pixels, and PSNR refuses to compare:

# %%
unpadded = trained(upscaled, same_size=False)
try:
    superres.psnr(unpadded, high)
except ValueError as error:
    print(error)

# %% [markdown]
# **Predict:** two ways out. Stretch the output to the size of the truth, or cut the truth's margin of 6 pixels. Stretching moves each pixel by at most 6. Does it matter?

# %%
stretched = F.interpolate(unpadded, size=high.shape[-2:], mode="bicubic", align_corners=False)
cut = high[..., margin:-margin, margin:-margin]
print(f"output stretched: {superres.score(stretched, high, scale=3).psnr:.2f} dB")
print(f"truth cut:        {superres.score(unpadded, cut, scale=3).psnr:.2f} dB")

# %% [markdown]
# Pixel-wise measures forgive no shift. The same mistake in training teaches the network to move the picture.

# %% [markdown]
# ## Summary
#
# - F1 is 64 dot products for each patch, F2 a small network at each pixel, F3 an average of what 25 neighbours propose: three convolutions, 8,032 weights.
# - Output size, parameters and receptive field follow from the filter sizes alone; a gradient checks them.
# - Train without padding, test with repeated borders; zeros draw a dark frame.
#
# **Next:** [03 · Training SRCNN](03_srcnn_training.ipynb): where these weights come from.
#
# **Reading:** sections 3.1 and 3.2 of [the paper](https://arxiv.org/abs/1501.00092); Dumoulin and Visin, *A guide to convolution arithmetic for deep learning* ([arXiv 1603.07285](https://arxiv.org/abs/1603.07285)).
