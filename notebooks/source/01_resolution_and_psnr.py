# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · Resolution and PSNR
#
# Before a network may claim "I sharpened this picture by 2 dB", you need to know what a pixel is, what was lost, and what a dB is worth. After this lesson you do.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/cnns-for-other-image-tasks/blob/main/notebooks/01_resolution_and_psnr.ipynb)
#
# **Budget:** 25 s on a CPU core (GPU: not measured) · 1.2 GB of memory · nothing to download
#
# **You will be able to**
# - say why a small picture can show patterns that its large original does not have, and prevent it;
# - compute bicubic interpolation, PSNR and SSIM by hand, and name every symbol in them;
# - measure super-resolution exactly as the literature does, to the second decimal;
# - recognise a wrong protocol by the number it prints.
#
# **Lecture and paper.** The question that opens the lecture, "Do you see a difference?", and section 4 of Dong, Loy, He, Tang, *Image Super-Resolution Using Deep Convolutional Networks* (2015), whose tables use bicubic, luma, PSNR and SSIM without explaining them.

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

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from skimage.metrics import structural_similarity

from lessons_utils import checkpoints, datasets, plots, superres
from lessons_utils.explorers import resolution

# %% [markdown]
# ## 1. Do you see a difference?
#
# Four photographs, in pairs. In each pair one is the original. The other was made smaller and then enlarged to its old size, so it holds fewer real pixels than it shows: 4 times fewer in pair A, 9 times fewer in pair B.
#
# **Your guess first:** which one of A, and which one of B, is the original?


# %%
def there_and_back(image, scale):
    """Shrink a picture by `scale`, then enlarge it again: same size, less in it."""
    return superres.enlarge(superres.degrade(image, scale), scale)


# %%
cup, astronaut = datasets.photograph("coffee"), datasets.photograph("astronaut")
badge = plots.crop(astronaut, 300, 100, 120)  # (1, 3, 512, 512) -> (1, 3, 120, 120)
pair_a = [plots.crop(picture, 20, 140, 180) for picture in (there_and_back(cup, 2), cup)]
pair_b = [badge, there_and_back(badge, 3)]

# %%
titles = ("A, left", "A, right", "B, left", "B, right")
figure = plots.picture_row(dict(zip(titles, pair_a + pair_b, strict=True)), width=13)
alt = "Two pairs. A coffee cup, twice, nearly alike. A badge, twice: sharp on the left, blurred on the right."
plots.show(figure, alt=alt)

# %% [markdown]
# <details><summary>Answer</summary>
#
# In B the original is on the left: the names on the badge can be read there. In A it is on the right. If you had to look three times: that is the point. How much is lost depends on what was there to lose.
# </details>
#
# Now the same four, from nearer.

# %%
near = [plots.crop(p, 0, 0, 50) for p in pair_a] + [plots.crop(p, 40, 30, 60) for p in pair_b]
alt = "The four enlarged. Wood and rim of the cup are a little softer on the left; the badge's letters are gone on the right."
plots.show(plots.picture_row(dict(zip(titles, near, strict=True)), width=13), alt=alt)

# %% [markdown]
# **Super-resolution** is the attempt to get from "B, right" back to "B, left". A reader sees at once whether it worked. But eyes tire, guess and disagree, so papers need a number. This lesson builds that number, and shows how it can mislead you.

# %% [markdown]
# ## 2. A pixel is a sample
#
# A row of pixels is a function $f$ known at whole numbers only. To shrink it by a scale $s$, the first idea is to keep every $s$-th sample:
#
# $$g_k = f(s\,k), \qquad k = 0, 1, 2, \ldots$$
#
# Take stripes that repeat 0.4 times a pixel (a period of 2.5 pixels), and keep every third pixel. **Predict:** what stripes do the kept samples show?

# %%
x = torch.linspace(0, 30, 1000)
stripes = torch.cos(2 * torch.pi * 0.4 * x)
slow = torch.cos(2 * torch.pi * x / 15)
third = torch.arange(0, 31, 3)
kept = torch.cos(2 * torch.pi * 0.4 * third)

# %%
figure, axes = plt.subplots(figsize=(11, 3))
axes.plot(x, stripes, color="0.7", label="the stripes: period 2.5 pixels")
axes.plot(x, slow, color="C0", label="what the samples show: period 15 pixels")
axes.plot(third, kept, "o", color="C1", ms=9, label="every third pixel")
axes.set(xlabel="position, pixels", ylabel="brightness")
axes.set_title("The samples lie on a slow wave that was never there")
axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), ncol=3, frameon=False)
alt = "A fast gray wave, its every third pixel, and a slow blue wave that passes through the very same samples."
plots.show(figure, alt=alt)

# %% [markdown]
# Between two kept samples the stripes advance $0.4 \cdot 3 = 1.2$ periods. Whole periods between samples leave no trace, so 1.2 looks like 0.2: one period in 5 samples, 15 pixels. This is **aliasing**: a fine pattern returns under a false name.
#
# Samples taken every $s$ pixels can follow at most half a period each, that is
#
# $$\text{frequency} \le \frac{1}{2s} \text{ periods a pixel} \qquad (\text{the Nyquist limit}).$$

# %% [markdown]
# A picture that contains every frequency makes the damage visible. In a *zone plate* the rings get finer outwards: here, at $r$ pixels from the centre, $r/180$ periods a pixel. **Predict:** beyond which radius does taking every third pixel go wrong?

# %%
position = torch.arange(150) - 74.5
radius_squared = position[:, None] ** 2 + position**2  # (150, 150)
zone_plate = 0.5 + 0.5 * torch.cos(torch.pi * radius_squared / 180)
every_third = zone_plate[1::3, 1::3]  # (150, 150) -> (50, 50)
averaged = F.avg_pool2d(zone_plate[None, None], 3)  # (1, 1, 150, 150) -> (1, 1, 50, 50)

# %%
pictures = {"150 × 150": zone_plate, "every third pixel": every_third, "mean of 3 × 3": averaged}
alt = "A zone plate; its every third pixel, with eight false centres; the mean of 3 by 3 pixels, gray further out."
plots.show(plots.picture_row(pictures, width=12), alt=alt)

# %% [markdown]
# <details><summary>Answer</summary>
#
# The limit is 1/(2·3) = 1/6 period a pixel, reached at r = 30 pixels. From there on the middle picture invents rings, with new centres where the true frequency is 1/3 period a pixel.
# </details>
#
# The right-hand picture averaged 3 × 3 pixels before it threw any away. Detail too fine for the small picture turns gray (mostly), instead of lying. This is **antialiasing**. Photographs need it too: look at the grain of this wood.

# %%
luma = superres.crop_to_multiple(superres.rgb_to_luma(cup), 3)  # gray: section 4 says how
every_third = luma[..., 1::3, 1::3]  # (1, 1, 399, 600) -> (1, 1, 133, 200)
antialiased = superres.degrade(luma, 3)  # (1, 1, 399, 600) -> (1, 1, 133, 200)

# %%
enlarged = {"the table": luma}
enlarged["every third pixel, enlarged"] = superres.enlarge(every_third, 3)
enlarged["antialiased, enlarged"] = superres.enlarge(antialiased, 3)
pictures = {title: plots.crop(picture, 250, 0, 120) for title, picture in enlarged.items()}
alt = "Wood grain rising to the right; from every third pixel, a check of dots instead; antialiased, soft grain that still rises."
plots.show(plots.picture_row(pictures, width=12), alt=alt)

# %% [markdown]
# Taking every third pixel replaced the fine grain by a check of dots, with lines that fall where the wood rises. No method can repair that later: nothing in the small picture says which stripes are false.

# %% [markdown]
# ## 3. From pixels back to a function: interpolation
#
# To enlarge, we need values between the samples. Every classical way is a weighted mean of the samples $f_k$ nearby, and the weight is a kernel $h$ of the distance $t = x - k$:
#
# $$g(x) = \sum_k h(x - k)\, f_k$$
#
# **Nearest** takes $h = 1$ up to half a pixel. **Bilinear** takes $h(t) = 1 - |t|$ up to one pixel. **Bicubic** (Keys, 1981) takes two cubic pieces, reaching two pixels, with one free number $a$:
#
# $$h(t) = \begin{cases} (a+2)|t|^3 - (a+3)|t|^2 + 1 & |t| \le 1 \\ a|t|^3 - 5a|t|^2 + 8a|t| - 4a & 1 < |t| < 2 \\ 0 & \text{else} \end{cases}$$


# %%
def nearest(t):
    return ((t >= -0.5) & (t < 0.5)).to(t.dtype)


def linear(t):
    return (1 - t.abs()).clamp(min=0)


# %%
def keys(t, a=-0.5):
    t = t.abs()
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
    return torch.where(t <= 1, near, torch.where(t < 2, far, 0))


# %%
t = torch.linspace(-2.5, 2.5, 1001)
kernels = {"nearest": nearest, "linear": linear, "Keys, a = -0.5": keys}
figure, grid = plt.subplots(1, 3, figsize=(12, 2.8), sharey=True)
for axes, (name, kernel) in zip(grid, kernels.items(), strict=True):
    axes.plot(t, kernel(t), lw=2.5)
    axes.axhline(0, color="0.8", zorder=0)
    axes.set(title=name, xlabel="distance t, pixels")
grid[0].set_ylabel("weight h(t)")
alt = "Three kernels: a box, a triangle, and Keys' cubic: a rounded peak that dips below zero between one and two pixels."
plots.show(figure, alt=alt)

# %% [markdown]
# Keys' and the linear kernel are 1 at distance 0 and 0 at every other whole number, so the samples themselves stay as they are. The negative lobes of the cubic make an edge steeper, and overshoot it a little.
#
# **Why $a = -0.5$?** Because then a parabola is interpolated exactly, and every smooth function is a parabola when you look closely enough. MATLAB's `imresize`, Pillow and the super-resolution literature use $-0.5$; OpenCV, and PyTorch unless you ask for antialiasing, use $-0.75$. **Predict:** which one hits $2.5^2 = 6.25$ halfway between 4 and 9?

# %%
parabola = torch.tensor([1.0, 4.0, 9.0, 16.0])  # x squared at x = 1, 2, 3, 4
for a in (-0.5, -0.75):
    weights = keys(torch.tensor([1.5, 0.5, -0.5, -1.5]), a)
    print(
        f"a = {a:5.2f}: weights {weights.numpy().round(4)}, value at 2.5: {weights @ parabola:.4f}"
    )

# %% [markdown]
# Now all of resizing, enlarging and shrinking, in a few lines. With $r$ input pixels to one output pixel, output pixel $i$ has its centre at $(i + \frac12)\,r - \frac12$ of the input. When shrinking ($r > 1$), the kernel is **stretched** by $r$: it averages before it drops samples, and that is antialiasing. Beyond the border the last sample repeats.


# %%
def resize_rows(samples, count, kernel=keys, antialias=True):
    """(H,) or (H, W) -> (count,) or (count, W)."""
    ratio = samples.shape[0] / count
    stretch = max(ratio, 1) if antialias else 1
    reach = math.ceil(2 * stretch) + 1
    centres = (torch.arange(count, dtype=torch.float64) + 0.5) * ratio - 0.5
    neighbours = torch.arange(-reach, samples.shape[0] + reach)
    weights = kernel((neighbours - centres[:, None]) / stretch)  # (count, neighbours)
    weights = weights / weights.sum(dim=1, keepdim=True)
    return weights @ samples.double()[neighbours.clamp(0, samples.shape[0] - 1)]


# %%
samples = torch.tensor([0.2, 0.3, 0.9, 0.8, 0.1, 0.1, 0.6, 0.5])
centres = (torch.arange(8 * 40) + 0.5) / 40 - 0.5
curves = {name: resize_rows(samples, 8 * 40, kernel) for name, kernel in kernels.items()}

# %%
figure, axes = plt.subplots(figsize=(11, 3))
for (name, curve), style in zip(curves.items(), (":", "--", "-"), strict=True):
    axes.plot(centres, curve, style, lw=2, label=name)
axes.plot(range(8), samples, "ko", ms=8, label="samples")
axes.set(xlabel="position, pixels", ylabel="value")
axes.set_title("Eight samples, three opinions on what lies between them")
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
alt = "Eight samples joined by a staircase, by straight lines, and by a smooth curve that overshoots slightly."
plots.show(figure, alt=alt)

# %% [markdown]
# A picture is resized along its rows, then along its columns. The finished forms are `superres.degrade` and `superres.enlarge`: PyTorch's own bicubic, with a border repeated around the picture first. Do they agree with the lines above?


# %%
def resize(picture, height, width, antialias=True):
    """(1, 1, H, W) -> (1, 1, height, width), one direction after the other."""
    rows = resize_rows(picture[0, 0], height, antialias=antialias)
    return resize_rows(rows.T, width, antialias=antialias).T[None, None]


# %%
low = resize(luma, 133, 200)  # (1, 1, 399, 600) -> (1, 1, 133, 200)
upscaled = resize(low, 399, 600)
for mine, finished in ((low, superres.degrade(luma, 3)), (upscaled, superres.enlarge(low, 3))):
    print("the same to four decimals:", torch.allclose(mine, finished.double(), atol=5e-5))

# %% [markdown]
# And this is what the three make of 48 × 48 pixels.

# %%
face = superres.degrade(plots.crop(astronaut, 75, 175, 96), 2)  # (1, 3, 96, 96) -> (1, 3, 48, 48)
pictures = {"nearest": face, "bilinear": F.interpolate(face, scale_factor=8, mode="bilinear")}
pictures["bicubic"] = superres.enlarge(face, 8)
alt = "A face of 48 by 48 pixels, enlarged in three ways: blocks; soft, with stepped edges; sharper and smooth."
plots.show(plots.picture_row(pictures, width=13), alt=alt)

# %% [markdown]
# Bicubic is the best of the three and the usual **baseline**: SRCNN gets this picture as its input, and has to do better.

# %% [markdown]
# ## 4. Why the network works on luma
#
# Your eye sees brightness far more finely than colour. So the literature splits a picture into **luma** $Y$ (brightness) and two colour differences $C_b$ and $C_r$, lets the network sharpen $Y$ alone, and enlarges the other two bicubically.
#
# Do you believe it? We shrink by 4 and enlarge again: once both colour planes, once luma alone. **Predict:** which one looks worse?

# %%
ycbcr = superres.rgb_to_ycbcr(badge)  # (1, 3, 120, 120): Y, Cb, Cr
coarse = there_and_back(ycbcr, 4)
coarse_colour = torch.cat([ycbcr[:, :1], coarse[:, 1:]], dim=1)  # Y as it was
coarse_luma = torch.cat([coarse[:, :1], ycbcr[:, 1:]], dim=1)  # Cb and Cr as they were

# %%
planes = {"original": ycbcr, "colour shrunk by 4": coarse_colour, "luma shrunk by 4": coarse_luma}
pictures = {title: superres.ycbcr_to_rgb(picture) for title, picture in planes.items()}
alt = "The badge three times: the original; with coarse colour, hardly different; with coarse luma, unreadable."
plots.show(plots.picture_row(pictures, width=12), alt=alt)

# %% [markdown]
# **Where the numbers come from.** The standard ITU-R BT.601 weighs red, green and blue (each in $[0, 1]$) as the eye does, 0.299, 0.587 and 0.114, which add up to 1. For television it put black at level 16 and white at 235, leaving room for overshoot, so the weights are multiplied by $235 - 16 = 219$:
#
# $$Y = \mathrm{round}\,(16 + 65.481\,R + 128.553\,G + 24.966\,B)$$
#
# It is rounded because the authors' code keeps it in 8 bits. This is the **studio range**. JPEG, Pillow and OpenCV use the **full range**, 0 to 255, without the 16 and the 219.

# %%
print("219 times the shares:", [round(219 * share, 3) for share in (0.299, 0.587, 0.114)])
colours = torch.tensor([[0.0, 1, 0, 0, 1], [0, 0, 1, 0, 1], [0, 0, 0, 1, 1]])  # (3, 5)
by_hand = 16 + torch.tensor([65.481, 128.553, 24.966]) @ colours
finished = 255 * superres.rgb_to_luma(colours[None, :, None])  # (1, 3, 1, 5) -> (1, 1, 1, 5)
print("black, red, green, blue, white, by hand:", by_hand.round().int().tolist())
print("superres.rgb_to_luma:                   ", finished.round().int().flatten().tolist())

# %% [markdown]
# In studio range a picture spans 219 levels instead of 255, so all its differences, and all errors, are smaller by 219/255. Keep this in mind: it will be worth 1.3 dB in a moment.

# %% [markdown]
# ## 5. From squared error to PSNR
#
# Let $x_i$ be the true levels, $y_i$ the levels of your result, $i = 1 \ldots N$ over all pixels. The **mean squared error** is
#
# $$\mathrm{MSE} = \frac1N \sum_{i=1}^{N} (y_i - x_i)^2 .$$
#
# Its unit is "levels squared", and it depends on whether white is 1 or 255. Divide the square of the largest possible level $L$, the *peak*, by it, and the unit is gone. The ratio spans many powers of ten, so take ten times its logarithm, as engineers do with sound:
#
# $$\mathrm{PSNR} = 10 \log_{10} \frac{L^2}{\mathrm{MSE}} = 20 \log_{10} \frac{L}{\sqrt{\mathrm{MSE}}} \quad \text{in decibels (dB)}.$$
#
# By hand, on four pixels:

# %%
truth = torch.tensor([50.0, 100.0, 150.0, 200.0]).view(1, 1, 2, 2)
result = torch.tensor([52.0, 97.0, 150.0, 204.0]).view(1, 1, 2, 2)
squares = (result - truth) ** 2
print("squared errors:", squares.flatten().int().tolist(), f"  MSE: {squares.mean():.2f}")
print(f"10 log10(255² / 7.25) = {10 * math.log10(255**2 / 7.25):.2f} dB")
print(f"superres.psnr:          {superres.psnr(result, truth, peak=255).item():.2f} dB")

# %% [markdown]
# Three sums worth keeping: errors half as large are **+6 dB** ($20 \log_{10} 2$); 1 dB is errors smaller by 11 %; rounding a picture to 8 bits alone costs an MSE of about 1/12, which is **59 dB**: far more than any method here has to fear.
#
# **Predict:** where in the picture does the error of bicubic ×3 sit?

# %%
_, upscaled, high = superres.prepare(astronaut, 3)  # luma: (1, 1, 510, 510) twice
error = 255 * (upscaled - high)
print(f"root mean square error {error.square().mean().sqrt():.2f} levels")
print(f"PSNR {superres.psnr(upscaled, high).item():.2f} dB")

# %%
figure, grid = plt.subplots(1, 3, figsize=(13, 4.2))
plots.draw_picture(grid[0], high, "truth (luma)")
plots.draw_picture(grid[1], upscaled, "bicubic ×3")
heat = grid[2].imshow(error.abs()[0, 0].numpy(), cmap="viridis", vmin=0, vmax=60)
grid[2].set_title("error")
grid[2].set_axis_off()
figure.colorbar(heat, ax=grid[2], label="levels of 255", extend="max", shrink=0.9)
alt = "The astronaut in gray, its bicubic version, and the error: bright along edges and on the badge, dark on flat walls."
plots.show(figure, alt=alt)

# %% [markdown]
# On edges and fine texture, and nowhere else. Flat walls make up most pixels and cost nothing, so a mean over all pixels hides what happens where you look. A good network gains only a few dB because it earns them in these thin bright lines.
#
# **What does a dB look like?** Noise of standard deviation $\sigma = 255 \cdot 10^{-\mathrm{PSNR}/20}$ levels gives any PSNR you ask for.

# %%
cat = plots.crop(superres.rgb_to_luma(datasets.photograph("cat")), 60, 80, 160).double()
generator = torch.Generator().manual_seed(1)
noise = torch.randn(cat.shape, generator=generator, dtype=torch.float64)
noise = noise / noise.square().mean().sqrt()  # root mean square 1, exactly

# %%
pictures = {"truth": cat}
for decibel in (40, 35, 30, 25, 20):
    sigma = 10 ** (-decibel / 20)
    pictures[f"{decibel} dB: errors of {255 * sigma:.0f} levels"] = cat + sigma * noise
alt = "A cat's eye six times: truth, noise at 40 dB (invisible), 35, 30 (visible), 25 and 20 dB (strong)."
plots.show(plots.picture_row(pictures, columns=3, width=12), alt=alt)

# %% [markdown]
# At 40 dB you need a magnifier, at 30 dB you see it, at 20 dB it hurts. Super-resolution ×3 lives between 24 and 36 dB, depending on the picture.

# %% [markdown]
# ## 6. What PSNR cannot see, and SSIM
#
# PSNR adds up squares, pixel by pixel. It does not know what a pixel's neighbours do. So here are four ways of spoiling the cat, scaled to exactly the same MSE. **Predict:** can PSNR tell them apart? Can you?

# %%
blurred = there_and_back(cat, 8)
same = (blurred - cat).square().mean().sqrt()  # the error that all shall have
contrast = cat.mean() - cat
contrast = contrast / contrast.square().mean().sqrt()
spoiled = {"brighter": cat + same, "less contrast": cat + same * contrast}
spoiled |= {"blurred": blurred, "noisy": cat + same * noise}

# %%
pictures = {"truth": cat}
for name, picture in spoiled.items():
    pictures[f"{name}: {superres.psnr(picture, cat).item():.2f} dB"] = picture
alt = "The cat's eye: truth, brighter, less contrast, blurred, noisy. Equal PSNR, very different looks."
plots.show(plots.picture_row(pictures, columns=5, width=13), alt=alt)

# %% [markdown]
# The number is the same, your verdict is not. Wang, Bovik, Sheikh and Simoncelli (2004) argued that the eye reads **structure**, and compared two windows $x$ and $y$ in three questions. With means $\mu$, standard deviations $\sigma$ and covariance $\sigma_{xy}$:
#
# $$\underbrace{l = \frac{2\mu_x\mu_y + C_1}{\mu_x^2 + \mu_y^2 + C_1}}_{\text{equally bright?}} \qquad \underbrace{c = \frac{2\sigma_x\sigma_y + C_2}{\sigma_x^2 + \sigma_y^2 + C_2}}_{\text{equal contrast?}} \qquad \underbrace{s = \frac{\sigma_{xy} + C_3}{\sigma_x\sigma_y + C_3}}_{\text{same pattern?}}$$
#
# Each is 1 when the answer is yes. The constants $C_1 = (0.01\,L)^2$, $C_2 = (0.03\,L)^2$, $C_3 = C_2/2$ keep flat windows from dividing by zero. Wang's window is 11 × 11 pixels, weighted by a Gaussian of $\sigma = 1.5$ pixels, so that it has no hard edge.

# %%
offsets = torch.arange(-5, 6, dtype=torch.float64)
bell = torch.exp(-(offsets**2) / (2 * 1.5**2))
window = bell[:, None] * bell / bell.sum() ** 2  # (11, 11), sums to 1
c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


# %%
def three_answers(x, y):
    """Luminance, contrast and structure of two windows (11, 11), in levels."""
    mean_x, mean_y = (window * x).sum(), (window * y).sum()
    sd_x = (window * (x - mean_x) ** 2).sum().sqrt()
    sd_y = (window * (y - mean_y) ** 2).sum().sqrt()
    covariance = (window * (x - mean_x) * (y - mean_y)).sum()
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    contrast = (2 * sd_x * sd_y + c2) / (sd_x**2 + sd_y**2 + c2)
    return luminance, contrast, (covariance + c2 / 2) / (sd_x * sd_y + c2 / 2)


# %% [markdown]
# One window, on the fur below the eye. **Predict** which of the three each spoiling lowers.

# %%
print("               bright contrast pattern  product")
for name, picture in spoiled.items():
    x, y = (255 * plots.crop(whole, 120, 40, 11)[0, 0] for whole in (picture, cat))
    bright, contrast, pattern = (answer.item() for answer in three_answers(x, y))
    product = bright * contrast * pattern
    print(f"{name:14s} {bright:6.3f} {contrast:8.3f} {pattern:7.3f} {product:8.3f}")

# %% [markdown]
# Each loses where you would expect it. Because $C_3 = C_2/2$, contrast times pattern shortens, and the product is what everybody computes:
#
# $$\mathrm{SSIM} = l \cdot c \cdot s = \frac{(2\mu_x\mu_y + C_1)(2\sigma_{xy} + C_2)}{(\mu_x^2 + \mu_y^2 + C_1)(\sigma_x^2 + \sigma_y^2 + C_2)}$$
#
# Slide the window over the picture: a weighted mean in every window is a convolution, and $\sigma_{xy} = \overline{xy} - \mu_x\mu_y$. The map says *where* the two differ; its mean is the number in the tables.


# %%
def local_mean(values):
    return F.conv2d(values, window[None, None])  # (1, 1, H, W) -> (1, 1, H - 10, W - 10)


# %%
def ssim_map(x, y):
    """(1, 1, H, W) twice, in levels -> (1, 1, H - 10, W - 10)."""
    mean_x, mean_y = local_mean(x), local_mean(y)
    covariance = local_mean(x * y) - mean_x * mean_y
    variances = local_mean(x * x) - mean_x**2 + local_mean(y * y) - mean_y**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance * (2 * covariance + c2) / (variances + c2)


# %%
maps = {name: ssim_map(255 * picture, 255 * cat) for name, picture in spoiled.items()}
figure, grid = plt.subplots(1, 4, figsize=(14, 3.4))
for axes, (name, values) in zip(grid, maps.items(), strict=True):
    heat = axes.imshow(values[0, 0].numpy(), cmap="viridis", vmin=0, vmax=1)
    axes.set_title(f"{name}: SSIM {values.mean():.3f}")
    axes.set_axis_off()
figure.colorbar(heat, ax=grid[3], label="SSIM of the window")
alt = "Four maps of SSIM at equal PSNR: brighter and less contrast are high nearly everywhere, blurred and noisy are low in the fur."
plots.show(figure, alt=alt)

# %% [markdown]
# At equal PSNR, what your eye forgives keeps a high SSIM, and what destroys the fur loses it. The finished form is `superres.ssim`; scikit-image agrees when it is told Wang's window. Its default is another one, 7 × 7 and flat.

# %%
x, y = (255 * spoiled["noisy"])[0, 0].numpy(), (255 * cat)[0, 0].numpy()
wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
print(f"by hand               {maps['noisy'].mean():.6f}")
print(f"superres.ssim         {superres.ssim(spoiled['noisy'], cat).item():.6f}")
print(f"scikit-image, Wang    {structural_similarity(x, y, data_range=255, **wang):.6f}")
print(f"scikit-image, default {structural_similarity(x, y, data_range=255):.6f}")

# %% [markdown]
# SSIM is no eye either. Move the picture by one pixel: you would never notice. **Predict** both numbers, then run.

# %%
moved, cut = cat[..., :-1], cat[..., 1:]
print(
    f"PSNR {superres.psnr(moved, cut).item():.2f} dB, SSIM {superres.ssim(moved, cut).item():.3f}"
)

# %% [markdown]
# Both punish what nobody can see. Keep it in mind for lesson 04: a network may look better and score worse.

# %% [markdown]
# ## 7. The protocol: six steps, each with its reason
#
# Two papers can be compared only if they measure alike. SRCNN and those it is compared with do this:
#
# 1. **Luma, rounded** to whole levels: the eye cares most for it, and 8-bit code made it (section 4).
# 2. **Crop** to a multiple of the scale: else large and small pixels do not line up.
# 3. **Shrink** by antialiased bicubic, and keep the result in floating point: no second rounding.
# 4. **Enlarge** bicubically: the baseline, and the input of SRCNN.
# 5. **Round** the result to whole levels from 0 to 255: compare what a file can store.
# 6. **Cut** $s$ pixels off each border, where every method has to guess what lies outside; then PSNR and SSIM **per picture**, and the mean over pictures.


# %%
def without_border(picture, border):
    height, width = picture.shape[-2:]
    return picture[..., border : height - border, border : width - border]


# %%
high = superres.rgb_to_luma(datasets.photograph("cat"))  # 1. (1, 1, 300, 451)
high = superres.crop_to_multiple(high, 3)  # 2. (1, 1, 300, 451) -> (1, 1, 300, 450)
low = superres.degrade(high, 3)  # 3. (1, 1, 300, 450) -> (1, 1, 100, 150)
upscaled = superres.enlarge(low, 3)  # 4. (1, 1, 100, 150) -> (1, 1, 300, 450)
prediction, truth = superres.to_levels(upscaled), superres.to_levels(high)  # 5.
prediction, truth = without_border(prediction, 3), without_border(truth, 3)  # 6.

# %%
print(f"step by step:   {superres.psnr(prediction, truth, peak=255).item():.4f} dB")
print(f"superres.score: {superres.score(upscaled, high, 3).psnr:.4f} dB")

# %% [markdown]
# The finished forms are `superres.prepare` (steps 1 to 4), `superres.score` (5 and 6) and `superres.evaluate` (a network and bicubic on a whole set). The usual set is **Set5**: baby, bird, butterfly, head, woman. It cannot be shipped with a course, so four colour photographs stand in for it below.

# %% [markdown]
# ## 8. What each slip costs
#
# Now do it wrong on purpose. First the protocol with every step in a box of its own, so that one can be exchanged:

# %%
protocol = {
    "luma": superres.rgb_to_luma,
    "shrink": superres.degrade,
    "store": lambda low: low,
    "finish": superres.to_levels,
    "border": 3,
    "peak": lambda truth: 255,
}


# %%
def bicubic_psnr(photo, scale, **exchanged):
    """PSNR of bicubic in dB, with some steps of the protocol exchanged."""
    step = protocol | {"border": scale} | exchanged
    high = superres.crop_to_multiple(step["luma"](photo), scale)
    low = step["store"](step["shrink"](high, scale))
    result, truth = step["finish"](superres.enlarge(low, scale)), superres.to_levels(high)
    inner = [without_border(picture, step["border"]) for picture in (result, truth)]
    return superres.psnr(*inner, step["peak"](truth)).item()


# %% [markdown]
# Then the wrong steps, of the kind that people take when they reproduce a paper:


# %%
def not_antialiased(high, scale):
    return resize(high, high.shape[-2] // scale, high.shape[-1] // scale, antialias=False)


def full_range(photo):
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64).view(1, 3, 1, 1)
    return ((255 * photo * weights).sum(1, keepdim=True).round() / 255).float()


# %%
slips = {
    "nothing: the protocol": {},
    "result not rounded": {"finish": lambda upscaled: 255 * upscaled},
    "small picture rounded": {"store": lambda low: superres.to_levels(low) / 255},
    "no border cut": {"border": 0},
    "border of 8 cut": {"border": 8},
    "no antialiasing": {"shrink": not_antialiased},
    "full-range luma": {"luma": full_range},
    "PSNR over R, G and B": {"luma": lambda photo: photo},
    "peak taken from the data": {"peak": lambda truth: (truth.max() - truth.min()).item()},
}

# %% [markdown]
# **Predict:** which of these cost hundredths of a dB, and which cost whole decibels?


# %%
def mean_psnr(photos, scale, **exchanged):
    return sum(bicubic_psnr(photo, scale, **exchanged) for photo in photos) / len(photos)


photos = [datasets.photograph(name) for name in ("astronaut", "cat", "coffee", "rocket")]
ours = {name: mean_psnr(photos, 3, **exchanged) for name, exchanged in slips.items()}

# %%
# Set5 cannot be shipped: these numbers were measured on it with the same steps, and typed in.
typed = [30.394, 30.400, 30.389, 30.391, 30.413, 29.722, 29.082, 28.631, 28.538]
set5 = dict(zip(slips, typed, strict=True))
cost = {name: (ours[name] - ours["nothing: the protocol"], set5[name] - 30.394) for name in slips}
print("bicubic ×3, dB             four photographs (live)   Set5 (typed in)")
for name, (here, there) in cost.items():
    print(f"{name:26s} {ours[name]:11.3f} {here:+8.3f} {set5[name]:14.3f} {there:+8.3f}")

# %% [markdown]
# One more slip hides in the word "mean": averaging the squared errors of all pictures, and taking the logarithm last. The logarithm of a mean is not the mean of logarithms, and the worst picture decides.

# %%
per_photo = torch.tensor([bicubic_psnr(photo, 3) for photo in photos])
pooled = -10 * torch.log10((10 ** (-per_photo / 10)).mean()).item()
cost["PSNR of the pooled error"] = (pooled - per_photo.mean().item(), 28.657 - 30.394)
print(
    f"four photographs (live): mean of PSNRs {per_photo.mean():.3f}, of pooled error {pooled:.3f}"
)
print("Set5 (typed in):         mean of PSNRs 30.394, of pooled error 28.657")

# %%
names = list(cost)[:0:-1]  # without the protocol itself, first on top
here, there = ([cost[name][column] for name in names] for column in (0, 1))
figure, axes = plt.subplots(figsize=(10, 4.2))
axes.barh(torch.arange(9) + 0.2, here, height=0.38, label="four photographs (live)")
axes.barh(torch.arange(9) - 0.2, there, height=0.38, label="Set5 (typed in)")
axes.set_yticks(range(9), names)
axes.set_xlabel("change of bicubic's PSNR at ×3, dB")
axes.set_title("Rounding and borders: 0.02 dB at most. The other five: up to 2 dB")
axes.legend(loc="upper left", frameon=False)
alt = "Bars: rounding and borders change PSNR by 0.02 dB at most; no antialiasing, full range, RGB, peak and pooling by up to 2 dB."
plots.show(figure, alt=alt)

# %% [markdown]
# On Set5 at ×3, SRCNN gained 0.16 dB over the best earlier method in its tables (A+, 32.59 dB). A slip of 1 dB is not a detail.
#
# **The trap.** At ×3 missing antialiasing shows: the number drops. **Predict** what it does at ×2.

# %%
for scale, typed in ((2, (33.66, 34.33)), (3, (30.39, 29.72))):
    right, wrong = (
        mean_psnr(photos, scale, shrink=way) for way in (superres.degrade, not_antialiased)
    )
    print(f"×{scale}, four photographs (live): {right:.2f} dB, without antialiasing {wrong:.2f} dB")
    print(
        f"×{scale}, Set5 (typed in):         {typed[0]:.2f} dB, without antialiasing {typed[1]:.2f} dB"
    )

# %% [markdown]
# At ×2 the mistake looks like progress. The unstretched kernel blurs less, and at this small scale the sharpness it keeps outweighs the false patterns it adds. The price comes later: on Set5 the authors' ×2 network, trained on antialiased pictures, then falls *below* bicubic. A good baseline number does not prove a right baseline.

# %% [markdown]
# ## 9. Try to break it
#
# The wood of section 2: truth, result and error, with the PSNR of the whole photograph. Move the scale, change the interpolation, untick antialiasing.
#
# **Question.** Keep *bicubic* and find the scales at which unticking antialiasing *raises* the PSNR. Look at the grain there: would you call the picture better? Then: from which scale on is bicubic without antialiasing worse than even *nearest* with it?

# %% tags=["explorer"]
resolution.scale_and_interpolation(datasets.photograph("coffee"), top=255, left=15)

# %% [markdown]
# <details><summary>Answer</summary>
#
# It raises the PSNR at scale 2 only. The grain is crisper there, and in places broken into steps that the wood does not have. From scale 3 on, blocks made from an antialiased picture beat the finest interpolation of an aliased one (27.28 against 27.26 dB at scale 3): how you shrink matters more than how you enlarge.
# </details>

# %% [markdown]
# ## 10. Paper versus ours
#
# Bicubic needs no training, so its numbers must come out the same everywhere. They are the first thing to check in any paper or code. Ours are read from the cards of the shipped networks, which were measured on Set5 together with bicubic.

# %%
published = {2: (33.66, 0.9299), 3: (30.39, 0.8682), 4: (28.42, 0.8104)}
print("bicubic on Set5, PSNR / SSIM    paper             ours (card)")
for scale, (psnr, ssim) in published.items():
    card = checkpoints.load_card(f"srcnn-9-5-5-x{scale}").metrics["set5"]
    measured = f"{card['bicubic_psnr']:.2f} / {card['bicubic_ssim']:.4f}"
    print(f"×{scale}                              {psnr:.2f} / {ssim:.4f}    {measured}")

# %% tags=["marked"]
# With Set5 at hand (or about 1 MB of download): set to True and run.
measure_live = False
if measure_live:
    butterfly_and_co = [photo for _, photo in datasets.super_resolution_set("Set5")]
    for scale in (2, 3, 4):
        pairs = [superres.prepare(photo, scale)[1:] for photo in butterfly_and_co]
        scores = [superres.score(upscaled, high, scale) for upscaled, high in pairs]
        psnr, ssim = sum(s.psnr for s in scores) / 5, sum(s.ssim for s in scores) / 5
        print(f"×{scale}: {psnr:.2f} / {ssim:.4f} (Set5, live)")
    for name, exchanged in slips.items():
        live = mean_psnr(butterfly_and_co, 3, **exchanged)
        print(f"{name:26s} {live:.3f} live, {set5[name]:.3f} typed in")

# %% [markdown]
# They agree to the last printed digit, and only because each of the six steps is the same, down to MATLAB's habit of that time of repeating the border when it resizes. With mirrored borders, as newer versions do it, the means drop by a few thousandths, enough to end in another digit.

# %% [markdown]
# ## 11. What goes wrong in practice
#
# **Peak from the data.** Many functions ask for a `data_range`, and `image.max() - image.min()` is the tempting answer. Then every picture is measured with a yardstick of its own. Two patches of one photograph, the very same noise:

# %%
rocket = superres.rgb_to_luma(datasets.photograph("rocket"))
grain = 5 / 255 * torch.randn(100, 100, generator=generator)
for name, left in (("night sky", 200), ("the rocket", 280)):
    patch = plots.crop(rocket, 100, left, 100)
    for peak in (1.0, (patch.max() - patch.min()).item()):
        print(
            f"{name:10s} peak {255 * peak:3.0f}: {superres.psnr(patch + grain, patch, peak).item():.2f} dB"
        )

# %% [markdown]
# **The one-line bicubic.** `F.interpolate(..., mode="bicubic")` looks like the protocol. But its `antialias` is off unless you say so. **Predict** what it does at ×3.

# %%
one_line = F.interpolate(luma, scale_factor=1 / 3, mode="bicubic")
print("the same as every third pixel:", torch.allclose(one_line, luma[..., 1::3, 1::3], atol=1e-5))

# %% [markdown]
# **Another colour space.** Full-range luma costs $20 \log_{10}(255/219)$ whatever the picture, and RGB costs something else for each. Tables that mix them cannot be compared.

# %%
print(f"20 log10(255 / 219) = {20 * math.log10(255 / 219):.2f} dB")
for name in ("astronaut", "cat", "coffee", "rocket"):
    ways = (superres.rgb_to_luma, full_range, lambda photo: photo)
    studio, full, rgb = (bicubic_psnr(datasets.photograph(name), 3, luma=way) for way in ways)
    print(
        f"{name:10s} studio {studio:.2f} dB, full range {full - studio:+.2f}, RGB {rgb - studio:+.2f}"
    )

# %% [markdown]
# So, before you believe a table, your own included: **look at its bicubic row.** Set5 ×3 says 30.39 dB. If yours does not, stop and find out why.

# %% [markdown]
# ## Summary
#
# - Shrinking without averaging first invents patterns; the literature shrinks and enlarges with Keys' cubic, stretched when shrinking.
# - PSNR is the mean squared error on a logarithmic scale, SSIM asks about brightness, contrast and structure of small windows; neither is an eye.
# - A number means something only with its protocol: rounded studio luma, cropped, floating-point bicubic, rounded, border cut, mean over pictures. Bicubic's own row is the test of it.
#
# **Next:** [02 · SRCNN layer by layer](02_srcnn_layers.ipynb): three convolutions that turn the bicubic picture into a better one.
#
# **Reading**
# - C. Dong, C. C. Loy, K. He, X. Tang, *Image Super-Resolution Using Deep Convolutional Networks*, TPAMI 2015, [arXiv 1501.00092](https://arxiv.org/abs/1501.00092): section 4.
# - Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, *Image Quality Assessment: From Error Visibility to Structural Similarity*, IEEE Transactions on Image Processing 13(4), 2004.
# - R. G. Keys, *Cubic Convolution Interpolation for Digital Image Processing*, IEEE Transactions on Acoustics, Speech, and Signal Processing 29(6), 1981.
# - C. E. Shannon, *Communication in the Presence of Noise*, Proceedings of the IRE 37(1), 1949: the sampling theorem, in its author's words.
