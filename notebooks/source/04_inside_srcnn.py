# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 04 · Inside SRCNN
#
# You open the trained network, see what its filters look for, put it to work on colour and on your own photo, and train the two ideas that replaced it.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/cnns-for-other-image-tasks/blob/main/notebooks/04_inside_srcnn.ipynb)
#
# **Budget:** 75 s on a CPU core (GPU: not measured) · 2.3 GB of memory · nothing to download
#
# **You will be able to**
# - read learned filters and feature maps, and tell what is learned from what is left over;
# - enlarge a colour photo of any size, in little memory and without seams;
# - say what each slip in a test protocol costs in dB;
# - explain a global skip and sub-pixel convolution, and why a higher PSNR is not always the better picture.
#
# **Lecture and paper.** The lecture's slides with SRCNN's filters and the butterfly's feature maps; sections 4.2 (learned filters), 4.3 (filter sizes) and 4.5 (colour) of Dong et al., 2015.

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

import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from lessons_utils import checkpoints, datasets, plots, superres, training
from lessons_utils.explorers import inside

# %% [markdown]
# ## 1 · The patient
#
# We look into the shipped 9-1-5 network for ×3. The lecture uses a butterfly's wing; that picture cannot be shipped, so we take the cat's eye. It has what we need: a round rim, which is an edge in *every* direction, next to fine fur.

# %% tags=["explorer"]
model, card = checkpoints.load("srcnn-9-1-5-x3", superres.SRCNN(9, 1, 5))
model.requires_grad_(False)
low, upscaled, high = superres.prepare(datasets.photograph("cat"), scale=3)
eye = plots.crop(upscaled, 72, 120, 104)  # (1, 1, 300, 450) -> (1, 1, 104, 104)

# %%
truth = plots.crop(high, 72, 120, 104)
pictures = {"bicubic × 3, the input": eye, "SRCNN, the output": model(eye), "the truth": truth}
alt = "A cat's eye three times: blurred, with sharper rim and pupil, and the original with single hairs."
plots.show(plots.picture_row(pictures, width=12), alt=alt)

# %% [markdown]
# ## 2 · Sixty-four filters
#
# A filter of the first layer is a 9 × 9 picture itself. As in the paper, we sort the 64 by the variance of their weights,
#
# $$\mathrm{var}(w) = \frac{1}{80} \sum_{i=1}^{81} (w_i - \bar{w})^2$$
#
# with $w_i$ the weights of one filter and $\bar w$ their mean. A filter of nearly equal weights only blurs; a filter of nearly zero weights does nothing.
#
# **Predict:** the paper saw edge detectors in several directions, textures, and some filters that look dead. What will ours look like?

# %%
filters = model.patch_extraction.weight  # (64, 1, 9, 9)
variances = filters.flatten(1).var(dim=1)
order = variances.argsort(descending=True)
print("variance of the weights, shipped filters:")
for name, rank in (("1st", 0), ("16th", 15), ("32nd", 31), ("64th", 63)):
    print(f"  {name:4s} {variances[order[rank]]:.4f}")

# %%
grid = plots.tile(filters[order], columns=16)
title = "64 filters, largest variance first; each has its own scale, black is its smallest weight"
alt = "Four rows of sixteen 9 x 9 filters. A few show stripes or blobs; most look like noise."
plots.show(plots.picture_row({title: grid}, width=13), alt=alt)

# %% [markdown]
# Disappointing? A few stripes and blobs, and much that looks like noise. In the paper's figure the structures are clearer. Both networks sharpen about equally well (lesson 03), so the noise cannot matter much. Why not?
#
# Mind the gray scale, too. **Each filter has its own**: the weakest filter is drawn with as much contrast as the strongest. On one common scale the last would show about a third of the contrast of the first; here a filter that no picture needs looks as busy as any other.

# %% [markdown]
# ## 3 · What the picture can see of a filter
#
# The input was enlarged three times: it is smooth, so the 81 numbers of a patch are not free. A filter $w$ answers a patch $x$ with $w \cdot x$. Split the filter into what lies along the directions in which patches really vary, and the rest:
#
# $$w = V V^\top w + r, \qquad w \cdot x \approx (V V^\top w) \cdot x, \qquad r \cdot x \approx \text{the same for all } x$$
#
# The columns of $V$ are those directions: the main eigenvectors of the covariance of patches.
#
# **Predict:** of 81 directions, how many are needed for 99.9 % of the variance of the patches?

# %%
names = ("astronaut", "coffee", "rocket", "camera")  # not the cat: it is our test
others = [superres.prepare(datasets.photograph(name), 3)[1] for name in names]
patches = torch.cat([F.unfold(other, 9)[0, :, ::20] for other in others], dim=1)  # (81, 49,964)

# %%
spread, directions = torch.linalg.eigh(torch.cov(patches.double()))  # from small to large
for count in (1, 5, 12, 25):
    share = 100 * spread[-count:].sum() / spread.sum()
    print(f"{count:2d} directions: {share:.3f} % of the variance")

# %%
V = directions[:, -25:].float()  # (81, 25)
flat = filters.flatten(1)  # (64, 81)
seen = (flat @ V @ V.T).view_as(filters)
share = seen.square().sum() / filters.square().sum()
print(f"of the filters' squared weights, pictures can see {100 * share:.0f} %")

# %%
grids = {
    "as they are": plots.tile(filters[order], columns=8),
    "what pictures can see of them": plots.tile(seen[order], columns=8),
}
alt = "Left, 64 noisy filters. Right, the same 64 projected: smooth edges in many directions, rings, spots and stripes."
plots.show(plots.picture_row(grids, width=12), alt=alt)

# %% [markdown]
# There they are: edges in all directions, spots, rings, stripes. One filter still is what it was at the start: a single bright weight in its middle, which passes the picture on (lesson 03). The noise lay in directions that pictures hardly use. Nothing pulls the weights there to zero, so what the random start and the optimiser's wandering put there stays. Ours start with weights over a hundred times larger than the paper's, so ours show more of it; but of the squared weights of the authors' published 9-1-5, too, pictures see only 52 % (counted by us).
#
# If that is true, we may **throw the invisible part away** and lose next to nothing. Predict the loss on the cat, which had no part in $V$.

# %%
cleaned = superres.SRCNN(9, 1, 5).requires_grad_(False)
cleaned.load_state_dict(model.state_dict())
cleaned.patch_extraction.weight.copy_(seen)
for name, network in (("as shipped", model), ("cleaned", cleaned)):
    result = superres.score(superres.sharpen(network, upscaled), high, scale=3)
    print(f"filters {name:10s}  cat x3: {result.psnr:.2f} dB")

# %% [markdown]
# So beware of figures of filters: they show weights, and not all weights matter. The finished form is `inside.seen_part`; the explorer below uses it.

# %% [markdown]
# ## 4 · Feature maps
#
# A **feature map** is what one filter answers, at every pixel, after bias and ReLU. There are 64 after layer 1 and 32 after layer 2.


# %%
def feature_maps(upscaled):
    around = F.pad(upscaled, (4, 4, 4, 4), mode="replicate")
    maps_1 = model.patch_extraction(around).relu()  # (1, 1, H, W) -> (1, 64, H, W)
    maps_2 = model.mapping(maps_1).relu()  # -> (1, 32, H, W); 1 x 1 filters need no border
    return maps_1[0], maps_2[0]


# %%
maps_1, maps_2 = feature_maps(eye)
finished = inside.feature_maps(model, eye)
print("inside.feature_maps says the same:", torch.allclose(maps_2, finished[1], atol=1e-6))

# %%
grid = plots.tile(maps_1[order], columns=16, padding=3)
title = "Layer 1: 64 maps of the eye, in the order of their filters; each has its own scale"
alt = "64 small eyes: in many only the parts of the rim with one direction light up, some show the whole eye, some are black."
plots.show(plots.picture_row({title: grid}, width=14), alt=alt)

# %% [markdown]
# In one map the upper rim lights up, in another the left side of the pupil: **edges, one direction each**. Some maps show the whole eye: smooth filters. Some are black. That is what the paper reports of its first layer.
#
# Of the second layer it says that the maps differ *mainly in intensity*. **Predict:** is that so in ours? Ours began as "output = input": one filter of each layer passed the picture on (lesson 03).

# %%
order_2 = inside.by_variance(model.mapping.weight)
grid = plots.tile(maps_2[order_2], columns=16, padding=3)
title = "Layer 2: 32 maps, in the order of their filters; each has its own scale"
alt = "32 small maps. One shows the whole eye; most others are black but for thin bright lines along edges; a few also show the fur."
plots.show(plots.picture_row({title: grid}, width=14), alt=alt)

# %% [markdown]
# Not in ours. Let us count instead of looking: maps that are **silent** (zero at each pixel of the eye), maps that are **always on** (zero nowhere), the share of zeros, and maps that **look like the picture** (correlation above 0.9). In the rows of the authors we counted the same on the same eye, with their published 9-1-5 (ImageNet, ×3).


# %%
def count(maps):
    silent = (maps.amax(dim=(1, 2)) == 0).sum()
    always = (maps.amin(dim=(1, 2)) > 0).sum()
    alike = (inside.likeness(maps, eye[0, 0]) > 0.9).sum()
    zeros = 100 * (maps == 0).float().mean()
    return f"{silent:6d} {always:9d} {zeros:7.0f} % {alike:16d}"


# %%
print("                  silent always on   zeros  like the picture")
print("layer 1, authors      6        11      46 %                9")
print("layer 1, ours    ", count(maps_1))
print("layer 2, authors      0        15      18 %               22")
print("layer 2, ours    ", count(maps_2))

# %% [markdown]
# The first layers are of one kind. The second layers are not: in theirs most maps *are* the picture, at different intensities, as they say. Ours divided the labour: one map carries the picture, the others are zero at most pixels. What do they contribute? Let the third layer see first only the map that is most like the picture, then the rest.

# %%
carrier = inside.likeness(maps_2, eye[0, 0]).argmax()
alone = torch.zeros_like(maps_2)  # (32, 104, 104)
alone[carrier] = maps_2[carrier]
carried = model.reconstruction(F.pad(alone[None], (2, 2, 2, 2), mode="replicate"))
added = model(eye) - carried
likeness = inside.likeness(carried[0], eye[0, 0]).item()
print(f"correlation of the carried part with the bicubic input: {likeness:.3f}")

# %%
parts = {
    "through one map": carried,
    "through the 31 others (gray is zero)": 0.5 + 2 * added,
    "the sum: SRCNN": carried + added,
}
alt = "The eye through one map looks like the input. Through the others come thin dark and bright lines along its edges. The sum is sharp."
plots.show(plots.picture_row(parts, width=12), alt=alt)

# %% [markdown]
# One map is a bypass for the picture; the others hold the **correction**. Nobody asked for it: the network started there, and stayed. Keep this in mind for section 9.
#
# **Silent is not dead.** A map may be silent here and useful elsewhere. Dead is a filter that no picture wakes:

# %%
views = [eye] + [plots.crop(other, 120, 180, 200) for other in others]
awake = torch.stack([feature_maps(view)[0].amax(dim=(1, 2)) > 0 for view in views])  # (5, 64)
print("filters of layer 1 that are silent on the eye:   ", (~awake[0]).sum().item())
print("silent on the eye and parts of four other photos:", (~awake).all(dim=0).sum().item())

# %% [markdown]
# The authors' networks have dead filters too: we count 4 of 64 in their 9-1-5 trained on ImageNet, 12 in the one trained on the 91 images. A dead ReLU gets no gradient, so it stays as it is. It costs time, not quality.
#
# One more look from outside. **Predict:** what does the network make of a picture that is the same gray everywhere?

# %%
print("input  output (shipped weights)")
for level in (0.1, 0.3, 0.5, 0.7, 0.9):
    flat_picture = torch.full((1, 1, 32, 32), level)
    print(f"{level:.1f}    {model(flat_picture)[0, 0, 16, 16]:.2f}")

# %% [markdown]
# Unit gain: nothing to sharpen, nothing changed. Ours began near it (the identity start has a gain of 0.97), and the squared error put the rest right. The authors' network began at black and has unit gain too, within 0.003: it had to learn it.

# %% tags=["marked"]
# The real butterfly. With Set5 at hand (or 1.3 MB of download): set to True and run.
measure_live = False
if measure_live:
    butterfly = dict(datasets.super_resolution_set("Set5"))["butterfly"]
    wing = plots.crop(superres.prepare(butterfly, 3)[1], 60, 60, 120)
    grids = [plots.tile(maps, 16, 3) for maps in feature_maps(wing)]
    for name, grid in zip(("layer 1", "layer 2"), grids, strict=True):
        figure = plots.picture_row({f"{name} on the butterfly's wing": grid}, width=14)
        plots.show(figure, alt=f"Feature maps of {name} on the butterfly's wing.")

# %% [markdown]
# ## 5 · Try to break it
#
# Choose a layer and a filter; filters are in the order of the figures above. You see the filter, what the picture can see of it, its map, and the map as orange light on the picture. In layer 2 a filter is 64 weights, one for each map of layer 1 (orange positive, purple negative).
#
# **Question:** find a filter that lights mostly the *upper* rim of the eye, and one that lights mostly the *lower* rim. How do they differ? Then find the filter with one bright weight in its middle, and in layer 2 the one whose map is the whole eye: what does that one listen to?

# %% tags=["explorer"]
inside.filter_to_map(model, eye)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Filters for opposite rims have dark and bright sides exchanged: the rim is dark with a bright surround, above and below. One filter cannot serve both, since the ReLU cuts off negative answers. The filter with one bright weight copies the picture, and the one of layer 2 whose map is the whole eye listens to that copy above all: the bypass of section 4, from end to end. Near the end of the order in layer 1 most maps are black: those filters never get past their bias.
# </details>

# %% [markdown]
# ## 6 · Colour
#
# The network knows one channel. A colour picture has three, and the paper sharpens only one of them, after a change of axes: luma Y (how bright), Cb (how blue), Cr (how red). Why is one enough? Two reasons. First **energy**: where is the fine detail, the part that shrinking by 3 destroys?


# %%
def there_and_back(images, scale=3):
    return superres.enlarge(superres.degrade(images, scale), scale)


astronaut = superres.crop_to_multiple(datasets.photograph("astronaut"), 3)
planes = superres.rgb_to_ycbcr(astronaut)  # (1, 3, 510, 510): Y, Cb, Cr
lost = planes - there_and_back(planes)

# %%
print("variance, in squared levels     all    lost by shrinking")
for name, plane, part in zip(("Y ", "Cb", "Cr"), planes[0], lost[0], strict=True):
    print(f"{name}                      {plane.var() * 255**2:9.1f} {part.var() * 255**2:9.1f}")

# %% [markdown]
# Nearly all that is lost, is lost in Y. Second the **eye**. We spoil this picture twice, each time by shrinking six times and enlarging again: once only the colours, once only the luma. **Predict:** which one will you notice?

# %%
coarse = there_and_back(planes, scale=6)
spoilt = {
    "the picture": planes,
    "colours 36 times coarser": torch.cat([planes[:, :1], coarse[:, 1:]], dim=1),
    "luma 36 times coarser": torch.cat([coarse[:, :1], planes[:, 1:]], dim=1),
}

# %%
shown = {name: plots.crop(superres.ycbcr_to_rgb(p), 290, 90, 150) for name, p in spoilt.items()}
alt = "A badge on an orange suit three times: with coarse colours it looks like the original, with coarse luma it is a blur."
plots.show(plots.picture_row(shown, width=12), alt=alt)

# %% [markdown]
# So: **the network on Y, bicubic for Cb and Cr.** JPEG and television use the same fact. In code:

# %%
photo_small = superres.degrade(astronaut, 3)  # (1, 3, 510, 510) -> (1, 3, 170, 170)
ycbcr = superres.rgb_to_ycbcr(superres.enlarge(photo_small, 3))
ycbcr[:, :1] = superres.sharpen(model, ycbcr[:, :1])
colour = superres.ycbcr_to_rgb(ycbcr)
finished = superres.super_resolve(model, photo_small, 3)
print("superres.super_resolve gives the same:", torch.allclose(colour, finished, atol=1e-5))

# %%
results = {"bicubic": superres.enlarge(photo_small, 3), "SRCNN on Y": colour, "truth": astronaut}
shown = {title: plots.crop(picture, 290, 90, 150) for title, picture in results.items()}
alt = "The badge in colour: blurred, sharper after SRCNN, and the truth with readable letters."
plots.show(plots.picture_row(shown, width=12), alt=alt)

# %% [markdown]
# The paper tried more than this. As published (its Table 5: 9-1-5 from 91 images, Set5 ×3, dB; not repeated here):
#
# | training | Y | all three |
# |---|---|---|
# | bicubic | 30.39 | 34.57 |
# | Y only | 32.39 | 36.37 |
# | Y, Cb, Cr together, from nothing | 29.25 | 33.47 |
# | R, G, B together | 32.33 | 36.44 |
#
# Three channels at once gain 0.07 dB over Y alone, and the unequal channels Y, Cb, Cr disturb each other's training. The last column is headed "RGB", but see section 11 before you compare with it.

# %% [markdown]
# ## 7 · Your own photo
#
# Set `my_photo` to a file on this computer (on Colab: first upload it in the panel on the left). We cut a square out of it and enlarge that three times. There is no truth this time, so there is **no PSNR**: you are the judge.

# %%
my_photo = None  # for example "holiday.jpg"
top, left, side = 0, 100, 400  # the square that is enlarged
photo = datasets.read_image(my_photo) if my_photo else datasets.photograph("coffee")
square = plots.crop(photo, top, left, side).expand(-1, 3, -1, -1)  # (1, 3, 400, 400), gray too
larger = superres.super_resolve(model, square, 3)  # -> (1, 3, 1200, 1200)

# %%
both = {"bicubic × 3": superres.enlarge(square, 3), "SRCNN × 3": larger}
shown = {title: plots.crop(picture, 630, 420, 450) for title, picture in both.items()}
alt = "Cup and spoon enlarged, bicubic and by SRCNN; highlights and outlines are crisper in the second."
plots.show(plots.picture_row(shown, width=12), alt=alt)

# %% [markdown]
# If your photo gains little, ask how it became small. The network learned to undo *this* shrinking: bicubic, by 3, without noise. A photo straight from a camera is blurred by its lens and has grain and JPEG blocks. The grain is sharpened too.
#
# **Memory.** 64 maps of a picture of 1000 × 1000 pixels need 244 MiB, and there are copies; a photo of 12 megapixels, three times larger, would need 26 GiB. So `superres.sharpen` works in tiles. **Predict:** what goes wrong if you cut the picture into tiles, run the network on each and put the results together?

# %%
megapixel = superres.rgb_to_luma(superres.enlarge(square, 3))[..., :1000, :1000]
whole = model(megapixel)  # all at once
tiles = megapixel.unfold(2, 250, 250).unfold(3, 250, 250)  # (1, 1, 4, 4, 250, 250)
pieces = model(tiles.reshape(16, 1, 250, 250))  # each tile invents its own surroundings
naive = pieces.view(4, 4, 250, 250).permute(0, 2, 1, 3).reshape(1, 1, 1000, 1000)
tiled = superres.sharpen(model, megapixel, tile=250)

# %%
wrong = {"naive tiles": (naive - whole).abs(), "superres.sharpen": (tiled - whole).abs()}
seamless = bool(255 * wrong["superres.sharpen"].max() < 0.01)
print(f"naive tiles differ from one pass by up to {255 * wrong['naive tiles'].max():.0f} levels")
print("superres.sharpen differs by less than 0.01 level:", seamless)

# %%
alt = "Left, a grid of bright lines where tiles meet. Right, nothing: the tiles of superres.sharpen have no seams."
plots.show(inside.seams_figure(wrong), alt=alt)

# %% [markdown]
# At its border a tile repeats its last pixel instead of looking at its neighbour, and errors reach 6 pixels deep: the network's *margin*. `sharpen` gives each tile 6 pixels of its real surroundings and cuts them off afterwards. The result equals one pass, in the memory of one tile.

# %% [markdown]
# ## 8 · How large should the filters be?
#
# The paper varies the size of the second layer. 9-5-5 looks at 17 × 17 pixels instead of 13 × 13, and mixes neighbours in its second layer, at seven times the multiplications. **Predict:** what is that worth in dB?

# %%
five = datasets.super_resolution_set("embedded")
ours = {}
for name in ("9-1-5", "9-5-5"):
    network = superres.SRCNN(*(int(size) for size in name.split("-")))
    network, card = checkpoints.load(f"srcnn-{name}-x3", network)
    ours[name] = (card.metrics["set5"]["psnr"], superres.evaluate(network, five, 3)["psnr"])

# %%
paper = {"9-1-5": (8032, 32.52), "9-5-5": (57184, 32.75)}
print("x3, dB                  Set5: paper   ours (card)   five embedded photos: ours (live)")
for name, (weights, published) in paper.items():
    from_card, live = ours[name]
    print(
        f"{name}, {weights:6,d} weights         {published:.2f}         {from_card:.2f}   {live:31.2f}"
    )

# %% [markdown]
# As published, Set5 ×3, trained on ImageNet (not repeated here):
#
# | what is changed | dB |
# |---|---|
# | 9-1-5 → 9-3-5 → 9-5-5: a wider second layer | 32.52 → 32.66 → 32.75 |
# | 11-1-7: wider first and last layers | 32.57 |
# | 32 and 16 filters; 64 and 32 (the standard); 128 and 64 | 32.26; 32.52; 32.60 |
# | a fourth layer (9-1-1-5 and others) | no gain |
#
# (Ours learned from T91's small images, theirs from 395,909; lesson 03.) Width helps a little and costs time. Depth did *not* help them, and they blame the training, rightly: VDSR soon trained 20 layers and gained 0.9 dB. What it took stands in the next section.

# %% [markdown]
# ## 9 · What came after
#
# ### A global skip
#
# Input and output of SRCNN are nearly the same picture. Then let the network compute the *difference*, and add the input at the end:
#
# $$F(Y) = Y + G(Y)$$
#
# with $Y$ the bicubic picture and $G$ the three layers. If the last layer of $G$ starts at zero, training starts at bicubic instead of at black, and no filter is spent on passing the picture on. VDSR (2016) did this, and with high learning rates and clipped gradients its 20 layers could be trained.


# %%
class GlobalSkip(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, upscaled):
        return upscaled + self.body(upscaled)


# %% [markdown]
# ### Sub-pixel convolution
#
# SRCNN first enlarges, then computes: for ×3, each low-resolution pixel is processed nine times, though nothing was added to it. **ESPCN** (2016) computes on the *small* picture and asks its last layer for $s^2$ numbers a pixel: the $s \times s$ pixels that this one becomes. What is left is to put them in their places. By hand, for $s = 2$:

# %%
maps = torch.arange(16).view(1, 4, 2, 2)  # four maps of 2 x 2
inner = maps.view(1, 2, 2, 2, 2)  # (1, row inside, column inside, row, column)
interleaved = inner.permute(0, 3, 1, 4, 2)  # (1, row, row inside, column, column inside)
shuffled = interleaved.reshape(1, 1, 4, 4)  # (1, 4, 2, 2) -> (1, 1, 4, 4)
print(shuffled[0, 0])
print("F.pixel_shuffle does the same:", torch.equal(shuffled, F.pixel_shuffle(maps, 2)))

# %%
alt = "Four maps of four numbers each, in four colours, and the 4 x 4 picture in which they alternate."
plots.show(inside.shuffle_figure(maps[0], shuffled[0, 0]), alt=alt)


# %%
class ESPCN(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 64, 5, padding=2, padding_mode="replicate"),
            nn.ReLU(),  # the authors use tanh
            nn.Conv2d(64, 32, 3, padding=1, padding_mode="replicate"),
            nn.ReLU(),
            nn.Conv2d(32, scale**2, 3, padding=1, padding_mode="replicate"),
            nn.PixelShuffle(scale),  # (B, 9, h, w) -> (B, 1, 3 h, 3 w)
        )

    def forward(self, low):
        return self.layers(low)


# %% [markdown]
# ### A fair race
#
# Three networks, the same time. Time differs between machines, multiplications do not, so we count those and give each network **equally many**; on our CPU that is also equal time, about 8 seconds each. **Predict:** how many times more steps does ESPCN get?
#
# The rest is the same for all: He's initialisation (Kaiming normal), last layer zero, Muon (lesson 03), the same sub-images from four photographs. The cat's face, which nobody trains on, is the judge.


# %%
def start(network):
    torch.manual_seed(0)
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    nn.init.zeros_(layers[-1].weight)
    return network.to(device)


# %%
racers = {
    "SRCNN 9-1-5": start(superres.SRCNN(9, 1, 5)),
    "with global skip": start(GlobalSkip(superres.SRCNN(9, 1, 5))),
    "ESPCN": start(ESPCN(3)),
}

# %%
steps = {}
for name, network in racers.items():
    weights = sum(p.numel() for p in network.parameters() if p.ndim > 1)
    products = weights / (9 if name == "ESPCN" else 1)  # its weights serve nine pixels at once
    steps[name] = round(300 * 8032 / products)
    print(
        f"{name:17s} {weights:6,d} weights, {products:5.0f} products a pixel, {steps[name]} steps"
    )

# %%
triples = [superres.prepare(datasets.photograph(name), 3) for name in names]


def draw(generator, side=20):
    chosen = torch.randint(len(triples), (), generator=generator)
    low, upscaled, high = triples[chosen]
    row = int(torch.randint(low.shape[-2] - side, (), generator=generator))
    column = int(torch.randint(low.shape[-1] - side, (), generator=generator))
    same = (3 * row, 3 * column, 3 * side)  # the same place in the large pictures
    return plots.crop(low, row, column, side), plots.crop(upscaled, *same), plots.crop(high, *same)


# %%
def draw_batch(generator, count=4):
    drawn = [draw(generator) for _ in range(count)]
    return [torch.cat(part).to(device) for part in zip(*drawn, strict=True)]


# %%
def run(network, low, upscaled):
    return network(low if isinstance(network, ESPCN) else upscaled)


# %%
face = superres.prepare(plots.crop(datasets.photograph("cat"), 30, 60, 240), 3)


@torch.no_grad()
def measure(network):
    output = run(network, face[0].to(device), face[1].to(device))
    return superres.score(output, face[2], scale=3).psnr


# %%
def race(network, steps, checks=10):
    optimizer = training.Muon(network.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    curve = [measure(network)]
    for step in tqdm(range(steps)):
        optimizer.param_groups[0]["lr"] = 1e-3 * training.cosine_schedule(step, steps, warm_up=20)
        low, upscaled, high = draw_batch(generator)  # (4, 1, 20, 20), (4, 1, 60, 60) twice
        error = run(network, low, upscaled) - high
        loss = error[..., 6:-6, 6:-6].square().mean()  # the rim has too little to look at
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) * checks // steps > step * checks // steps:
            curve.append(measure(network))
    return curve


# %% tags=["nbval-ignore-output", "live-training"]
curves = {name: race(network, steps[name]) for name, network in racers.items()}
for name, curve in curves.items():
    print(f"{name:17s} {curve[0]:5.2f} -> {curve[-1]:5.2f} dB (live training)")

# %%
bicubic = superres.score(face[1], face[2], scale=3).psnr
print(f"bicubic on the cat's face: {bicubic:.2f} dB")

# %% tags=["nbval-ignore-output", "live-training"]
alt = "PSNR over the training. The global skip starts at bicubic and rises; ESPCN starts below and catches up; plain SRCNN comes last."
plots.show(inside.race_figure(curves, bicubic), alt=alt)

# %%
plain, skip, espcn = curves.values()
print("live training, on the cat's face:")
print("  the skip starts at bicubic:       ", abs(skip[0] - bicubic) < 0.01)
print("  the other two start below 10 dB:  ", max(plain[0], espcn[0]) < 10)
print("  skip ahead of plain SRCNN:        ", skip[-1] > plain[-1] + 0.05)
print("  ESPCN ahead of plain SRCNN:       ", espcn[-1] > plain[-1] + 0.05)
print("  skip and ESPCN both pass bicubic: ", min(skip[-1], espcn[-1]) > bicubic)

# %% [markdown]
# Two different gains. The skip wins the **start**: it never has to learn the picture. (Lesson 03's identity start gives plain SRCNN most of this without a skip; here it starts at black, as in the paper.) ESPCN wins **steps**: a third of the work for each. They do not exclude each other, and what came later uses both.
#
# One race of seconds on four photographs says nothing about the *end* of a long training. There the published numbers speak (Set5, dB; from the papers, training sets differ):
#
# | network | idea | ×2 | ×3 | ×4 |
# |---|---|---|---|---|
# | SRCNN 9-5-5 (2015) | three layers | 36.66 | 32.75 | 30.49 |
# | FSRCNN (2016) | small picture in, shrink, map, expand, transposed convolution | 37.00 | 33.16 | 30.71 |
# | ESPCN (2016) | small picture in, sub-pixel convolution | – | 33.13 | 30.90 |
# | VDSR (2016) | 20 layers, global skip | 37.53 | 33.66 | 31.35 |
# | DRCN (2016) | one layer applied again and again | 37.63 | 33.82 | 31.53 |
# | SRResNet (2017) | residual blocks, sub-pixel convolution | – | – | 32.05 |

# %% [markdown]
# ## 10 · More dB, better picture?
#
# The next line of that table would be SRGAN, by the authors of SRResNet: **29.40 dB** at ×4, 2.65 dB *less*. Yet people who rated the pictures gave SRGAN the better score. How can that be?
#
# Suppose an edge was lost: it may have been at any of seven places, equally likely. **Predict:** which guess has the smallest mean squared error, one of the seven, or their mean?

# %%
edges = torch.stack([(torch.arange(32) > 12 + shift).float() for shift in range(7)])  # (7, 32)
mean = edges.mean(dim=0)
mse_mean = (edges - mean).square().mean()
mse_pick = (edges[:, None] - edges[None, :]).square().mean()  # any guess against any truth
print(f"mean of all: {mse_mean:.4f}, one of them at random: {mse_pick:.4f}")
print(f"{10 * math.log10(mse_pick / mse_mean):.2f} dB for being sharp")

# %%
alt = "Left, seven step edges at different places. Right, one of them and their mean, a ramp."
plots.show(inside.edges_figure(edges, mean), alt=alt)

# %% [markdown]
# The squared error asks for the **mean** of all pictures that fit, and the mean of sharp pictures is blurred. A sharp guess, drawn from the right distribution, has exactly twice the error of the mean: 3.01 dB. Blau and Michaeli (2018) prove that this is no accident of one method: near the best possible PSNR you can only *trade* distortion against looking real, and looking perfectly real need cost no more than these 3 dB.
#
# You can feel it without a GAN. We take SRCNN's cat, sharpen it by unsharp masking and add fine grain, as any photo program can. (A trick, and an honest label: it adds nothing true.)

# %%
sharp = superres.sharpen(model, upscaled)
blurred = F.avg_pool2d(F.pad(sharp, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
grain = torch.randn(sharp.shape, generator=torch.Generator().manual_seed(0))
crisp = sharp + 1.2 * (sharp - blurred) + 0.012 * grain

# %%
versions = {"bicubic": upscaled, "SRCNN": sharp, "SRCNN, sharpened, grain": crisp}
for name, version in versions.items():
    print(f"{name:24s} {superres.score(version, high, 3).psnr:.2f} dB on the cat")

# %%
shown = {name: plots.crop(v, 60, 100, 150) for name, v in {**versions, "the truth": high}.items()}
alt = "The cat's eye four times: bicubic, SRCNN, a crisper and grainier version with a lower PSNR, the truth."
plots.show(plots.picture_row(shown, width=15), alt=alt)

# %% [markdown]
# Step back from the screen. The third picture looks closer to the truth than its PSNR says; some would call it the best of the three. A number answers the question that it was built for, and no other.

# %% [markdown]
# ## 11 · What goes wrong in practice
#
# **Slips in the protocol.** Lesson 01 saw what they do to bicubic. Now the network: same weights, same photographs, one change each. First the protocol in one function, with a switch for each slip.


# %%
def compare(prediction, high, border=3, rounded=True):
    if rounded:
        prediction = superres.to_levels(prediction) / 255
    inner = slice(border, -border or None)
    return superres.psnr(prediction[..., inner, inner], high[..., inner, inner]).item()


# %%
def zero_padded(network, features):
    for layer in (network.patch_extraction, network.mapping, network.reconstruction):
        maps = F.conv2d(features, layer.weight, layer.bias, padding=layer.kernel_size[0] // 2)
        features = maps if layer is network.reconstruction else maps.relu()
    return features


# %%
def without_antialias(high):
    low = F.interpolate(high, scale_factor=1 / 3, mode="bicubic")
    return F.interpolate(low, scale_factor=3, mode="bicubic")


# %%
def full_range(photo):
    gray = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (photo * gray).sum(1, keepdim=True)


# %%
network = checkpoints.load("srcnn-9-5-5-x3", superres.SRCNN(9, 5, 5))[0].requires_grad_(False)


def all_slips(photo):
    photo = superres.crop_to_multiple(photo, 3)
    _, upscaled, high = superres.prepare(photo, 3)
    sharp, zeros = superres.sharpen(network, upscaled), zero_padded(network, upscaled)
    aliased = superres.sharpen(network, without_antialias(high))
    full = full_range(photo)
    full_sharp = superres.sharpen(network, there_and_back(full))
    colour = superres.super_resolve(network, superres.degrade(photo, 3), 3)
    return {
        "as published": compare(sharp, high),
        "output not rounded": compare(sharp, high, rounded=False),
        "border not cut": compare(sharp, high, border=0),
        "zero padding": compare(zeros, high),
        "zero padding, border not cut": compare(zeros, high, border=0),
        "shrunk without antialiasing": compare(aliased, high),
        "full-range Y": compare(full_sharp, full),
        "PSNR on RGB": compare(colour, photo),
    }


# %% [markdown]
# **Predict** the two worst before you run the next cell. Beside ours stands Set5 with the authors' 9-5-5, measured once by us with the same switches.

# %%
three = [all_slips(datasets.photograph(name)) for name in ("astronaut", "cat", "coffee")]
ours = {slip: sum(result[slip] for result in three) / 3 for slip in three[0]}  # mean, dB

# %%
set5 = (32.752, 32.764, 32.660, 29.975, 22.926, 26.707, 31.383, 30.729)
print("9-5-5, x3, dB                  our weights (live)   authors' weights")
print("                               three photographs    Set5")
for (slip, psnr), theirs in zip(ours.items(), set5, strict=True):
    cost = psnr - ours["as published"]
    print(f"{slip:30s} {psnr:.2f} ({cost:+4.1f})         {theirs:.2f} ({theirs - set5[0]:+5.2f})")

# %% [markdown]
# Zero padding and a missing antialias are **not** small print: here each costs more than the whole step from SRCNN to VDSR gained (0.9 dB). And each slip shifts the numbers of *everyone* measured that way, so a table that mixes protocols ranks nothing.
#
# **A column called RGB.** With bicubic on Set5 ×3, PSNR over R, G and B is 28.63 dB. The paper's Table 5 says 34.57 for the same picture in its column "RGB". Both are right: take the squared error over **Y, Cb and Cr** together and you get 34.57. Two thirds of that average are channels with little to lose.

# %%
bicubic_rgb = superres.enlarge(photo_small, 3)
bicubic_planes, true_planes = superres.rgb_to_ycbcr(bicubic_rgb), superres.rgb_to_ycbcr(astronaut)
print("the same bicubic astronaut, three answers:")
print(f"  Y             {compare(bicubic_planes[:, :1], true_planes[:, :1]):.2f} dB")
print(f"  R, G and B    {compare(bicubic_rgb, astronaut):.2f} dB")
print(f"  Y, Cb and Cr  {compare(bicubic_planes, true_planes):.2f} dB")

# %% tags=["marked"]
# The same on Set5. With Set5 at hand (or 1.3 MB of download): set to True and run.
measure_live = False
if measure_live:
    answers = []
    for _, photo in datasets.super_resolution_set("Set5"):
        planes = superres.rgb_to_ycbcr(superres.crop_to_multiple(photo, 3))
        planes = superres.to_levels(planes).float() / 255
        answers.append(compare(there_and_back(planes), planes))
    print(f"Y, Cb and Cr together, bicubic, Set5 x3: {sum(answers) / 5:.2f} dB (live)")

# %% [markdown]
# **A network for another scale.** One SRCNN serves one scale: it learned how *this* blur looks. **Predict:** what does our ×3 network do to a picture that was enlarged by 2, or by 4?

# %%
print("cat, 9-5-5 trained for x3      bicubic   network")
for scale in (2, 3, 4):
    _, enlarged, truth = superres.prepare(datasets.photograph("cat"), scale)
    sharpened = superres.sharpen(network, enlarged)
    before, after = (superres.score(p, truth, scale).psnr for p in (enlarged, sharpened))
    print(
        f"tested on x{scale}                   {before:.2f}     {after:.2f}   better: {after > before}"
    )

# %% [markdown]
# At ×2 it sharpens what is sharp enough already, and falls behind bicubic. At ×4 it removes only the part of the blur that it knows. Hence the paper trains one network a scale; VDSR later trained one for all, by showing it all.

# %% [markdown]
# ## 12 · Paper versus ours
#
# | what the paper says | what we see |
# |---|---|
# | filters are edges and textures, sorted by variance | the same, under a layer of left-over noise that pictures cannot see |
# | layer 1: edges of different directions, a smooth map | the same |
# | layer 2: maps differ mainly in intensity | not ours: one map carries the picture, the rest a correction (identity start) |
# | some filters are dead | ours too, about as many as theirs (section 4) |
# | Set5 ×3: 9-1-5 32.52, 9-5-5 32.75 | cards in section 8 |
# | more layers do not help | true for them; VDSR's global skip, high rates and clipped gradients changed the answer |
#
# The bypass comes from our start. The optimiser and the pictures differ too, and we did not separate their shares. The same architecture at the same PSNR can work in different ways inside. A figure of feature maps shows *a* solution, not *the* solution.

# %% [markdown]
# ## Summary
#
# - First-layer filters are directed edges; weights show them only after you remove what no picture can see. Our second layer holds the picture once and many corrections.
# - Luma alone carries the detail; tiles with a margin make any size possible; one slip in the protocol costs more than a better network gains.
# - A global skip wins the start, sub-pixel convolution wins time, and the best PSNR is a mean of what is possible: blurred.
#
# **Next:** [05 · Depth from one image](05_depth_from_one_image.ipynb).
#
# **Reading**
# - Dong, Loy, He, Tang, *Image Super-Resolution Using Deep Convolutional Networks* (2015), section 4, [arXiv 1501.00092](https://arxiv.org/abs/1501.00092)
# - Shi et al., *Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network* (2016), [arXiv 1609.05158](https://arxiv.org/abs/1609.05158)
# - Kim, Lee, Lee, *Accurate Image Super-Resolution Using Very Deep Convolutional Networks* (2016), [arXiv 1511.04587](https://arxiv.org/abs/1511.04587)
# - Ledig et al., *Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network* (2017), [arXiv 1609.04802](https://arxiv.org/abs/1609.04802)
# - Blau, Michaeli, *The Perception-Distortion Tradeoff* (2018), [arXiv 1711.06077](https://arxiv.org/abs/1711.06077)
