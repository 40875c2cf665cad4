# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Training SRCNN
#
# You train SRCNN for about a minute, watch it pass bicubic interpolation, and see what the same three layers reach after a longer training: the authors' own record.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/cnns-for-other-image-tasks/blob/main/notebooks/03_srcnn_training.ipynb)
#
# **Budget:** 110 s on a CPU core (GPU: not measured) · 1.5 GB of memory · nothing to download
#
# **You will be able to**
#
# - cut pictures into pairs that a network can learn from, and say why the order of the steps matters;
# - write the pixel-wise loss and a bare training loop, and turn the loss into decibels;
# - explain why the authors needed three days, and which start and optimiser need minutes;
# - read a table of results and say what it compares and what it does not.
#
# **Lecture and paper.** The lecture's slide "training and results"; Dong, Loy, He, Tang, *Image Super-Resolution Using Deep Convolutional Networks* (TPAMI 2015), sections 3.3, 4.1 and 4.4.

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
import time

import torch
import torch.nn.functional as F
from tqdm.auto import tqdm

from lessons_utils import checkpoints, datasets, plots, recipes, superres, training
from lessons_utils.explorers import learning

# %% [markdown]
# ## 1. Pairs to learn from
#
# Lesson 02 built the network. What does it learn from? From **pairs**: a picture $Y_i$ that was shrunk and enlarged again by bicubic interpolation, and the picture $X_i$ that it was before. Nobody has to label anything: every sharp photograph makes its own pair.
#
# The authors train on 91 small photographs, the set *T91*. In this lesson four photographs that come with the course stand in for it. A fifth, the cat, is held apart: we never train on it, so it can tell us how well we do.

# %%
training_names = ["astronaut", "coffee", "rocket", "camera"]
pairs = [superres.prepare(datasets.photograph(name), scale=3)[1:] for name in training_names]
_, cat_upscaled, cat_high = (
    part.to(device) for part in superres.prepare(datasets.photograph("cat"), scale=3)
)
for name, (upscaled, high) in zip(training_names, pairs, strict=True):
    print(f"{name:9}  input {tuple(upscaled.shape)}  truth {tuple(high.shape)}")

# %% [markdown]
# Whole pictures of different sizes do not fit into one batch, and one picture repeats itself: thousands of small edges in it are thousands of examples. So the authors cut **sub-images** of 33 × 33 pixels, one every 14 pixels.
#
# **Predict.** The astronaut has 510 × 510 pixels after cropping to a multiple of 3. How many sub-images does it give? Write the number down before you run the next cell.


# %%
def cut(picture, size=33, stride=14):
    """(1, 1, H, W) -> (N, 1, size, size)"""
    columns = F.unfold(picture, size, stride=stride)  # (1, size * size, N)
    return columns[0].T.reshape(-1, 1, size, size)


# %%
for name, (_, high) in zip(training_names, pairs, strict=True):
    print(f"{name:9}  {len(cut(high)):5} sub-images")

# %% [markdown]
# <details><summary>How to get the number</summary>
#
# The first cut begins at pixel 0, the last one must begin at 510 − 33 = 477 or before. 477 / 14 = 34.07, so 35 positions fit in each direction, and 35 × 35 = 1225. The 91 photographs of T91 give 21,884 in this way, with the authors' released code too; their paper says 24,800.
#
# </details>
#
# The network trains **without padding**: each of its three layers loses a border, together $(9 - 1 + 1 - 1 + 5 - 1)/2 = 6$ pixels on each side for the 9-1-5 network. From a 33 × 33 input it returns 21 × 21 pixels, so the truth is the central 21 × 21 square. No pixel that is made up at a border enters the loss.

# %%
upscaled, high = pairs[0]
inputs, truths = cut(upscaled), cut(high)[..., 6:-6, 6:-6]  # (1225, 1, 33, 33), (1225, 1, 21, 21)
chosen = [89, 107, 462, 475, 931, 1040]
figure = learning.pairs_figure(inputs[chosen], truths[chosen], margin=6)
plots.show(
    figure,
    alt="Six blurred sub-images of the astronaut, and under each the sharp centre that the network must return.",
)

# %% [markdown]
# ## 2. First degrade, then cut
#
# There is an easy mistake here. You could cut first, and shrink and enlarge each sub-image on its own. The code would be shorter. The paper's text (section 3.3) reads as if the authors did so, with a Gaussian blur. Their released code does not: it shrinks and enlarges the **whole picture** by bicubic interpolation and cuts afterwards. We follow the code, which gives the published numbers.
#
# **Predict.** Where in a 33 × 33 sub-image do the two ways differ, and by how many of the 256 gray levels?

# %%
upscaled, high = pairs[3]  # the man with the camera
from_whole = cut(upscaled, stride=15)  # 15 is a multiple of 3: both ways sample the same pixels
by_itself = superres.enlarge(superres.degrade(cut(high, stride=15), 3), 3)
difference = (by_itself - from_whole).abs().mean(dim=(0, 1)) * 255  # (33, 33), in levels

# %%
print(
    f"{len(from_whole)} sub-images; mean difference at the outermost pixels {difference[0].mean():.2f} levels,"
)
print(f"in the central 9 x 9 pixels {difference[12:-12, 12:-12].mean():.4f} levels")

# %%
figure = learning.border_figure(from_whole[723], by_itself[723], difference)
plots.show(
    figure,
    alt="Two versions of a sub-image and the mean difference between them: large at the borders, zero in the middle.",
)

# %% [markdown]
# In the middle the two agree. At the borders they differ, because a sub-image that is degraded by itself does not know its neighbours: the resizing repeats the border pixels instead. The network *does* look at those border pixels: each 13 × 13 window that makes a corner of the 21 × 21 output reaches into them. Trained on the wrong pairs, it spends filters on borders that no real picture has.
#
# From here on `superres.SubImages` cuts for us. It degrades whole pictures as above, then cuts at random places instead of every 14 pixels, and mirrors and turns the cuts at random. A mirrored photograph is a photograph too, so this gives eight times as many examples for nothing.

# %%
sub_images = superres.SubImages([datasets.photograph(name) for name in training_names], scale=3)
upscaled, high = sub_images.batch(32, torch.Generator().manual_seed(0))
print(f"one batch: input {tuple(upscaled.shape)}, truth {tuple(high.shape)}")

# %% [markdown]
# ## 3. The pixel-wise loss
#
# The network $F$ with weights $\Theta$ should return the truth. The loss is the mean squared error over all pixels of a batch:
#
# $$L(\Theta) = \frac{1}{n\,p} \sum_{i=1}^{n} \lVert F(Y_i; \Theta) - X_i \rVert^2$$
#
# $n$ is the number of sub-images in the batch, $p = 21^2 = 441$ the pixels of one output, $Y_i$ the blurred sub-image, $X_i$ the centre of the true one, $\lVert\cdot\rVert^2$ the sum of the squared differences.
#
# Why this loss and no other? Because of the measure. Lesson 01 defined, for pixels in [0, 1], $\text{PSNR} = -10 \log_{10} \text{MSE}$. The smaller the one, the larger the other: **a network that minimises this loss is trained for PSNR.**

# %%
bicubic_as_it_is = upscaled[..., 6:-6, 6:-6]  # (32, 1, 33, 33) -> (32, 1, 21, 21)
truth = high[..., 6:-6, 6:-6]
mse = (bicubic_as_it_is - truth).square().mean()
print(f"bicubic on this batch: MSE {mse:.6f} = {-10 * math.log10(mse):.3f} dB")
print(f"half that MSE:         MSE {mse / 2:.6f} = {-10 * math.log10(mse / 2):.3f} dB")

# %% [markdown]
# Halving the error is worth 3.01 dB, whatever it was before. From bicubic to the authors' record the mean on Set5 rises by 2.4 dB: the squared error falls to a bit more than half.
#
# The finished form of the loss is `superres.pixel_loss`. It takes the centre of the truth itself; the untrained network below shows that the two agree.

# %%
model = superres.SRCNN(9, 1, 5)
superres.initialise_as_paper(model, torch.Generator().manual_seed(0))
by_hand = (model(upscaled, same_size=False) - truth).square().mean()
print(
    "agrees with superres.pixel_loss:",
    torch.allclose(by_hand, superres.pixel_loss(model, upscaled, high, model.margin)),
)

# %% [markdown]
# ## 4. The loop
#
# Training repeats five lines: draw a batch, predict, measure the loss, find the slope of the loss for every weight (`backward`), move every weight a little downhill (`step`). Now and then we measure the PSNR on the cat, by the protocol of lesson 01.
#
# A **schedule** changes the learning rate on the way: a factor for each step. Batch number `step` is drawn with the seed `step`, so that every training below sees the same batches.


# %%
def validate(model):
    return superres.score(superres.sharpen(model, cat_upscaled), cat_high, scale=3).psnr


# %%
def train(model, optimizer, steps, loss=F.mse_loss, schedule=lambda step: 1.0, every=100):
    """Return the PSNR on the cat before the first step and after each `every` steps."""
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    curve = [validate(model)]
    for step in tqdm(range(1, steps + 1), mininterval=1):
        upscaled, high = sub_images.batch(32, torch.Generator().manual_seed(step))
        prediction = model(
            upscaled.to(device), same_size=False
        )  # (32, 1, 33, 33) -> (32, 1, 21, 21)
        value = loss(prediction, high[..., 6:-6, 6:-6].to(device))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        scheduler.step()
        if step % every == 0:
            curve.append(validate(model))
    return curve


# %% [markdown]
# ## 5. Two ways to start
#
# The paper draws all weights from a normal distribution with standard deviation 0.001. Three such layers in a row make almost nothing of a picture.
#
# There is another way. Set the first filter of each layer to "pass the centre pixel on", draw the other filters as He et al. (2015) propose, and keep the last layer small. The network then begins close to **output = input**: what it still has to learn is the difference between bicubic and sharp.
#
# **Predict.** What does each untrained network return for the cat, and with what PSNR? (Bicubic: 32.88 dB.)


# %%
def new_model(initialise):
    model = superres.SRCNN(9, 1, 5)
    initialise(model, torch.Generator().manual_seed(0))
    return model.to(
        device, memory_format=torch.channels_last
    )  # a layout that CPUs and GPUs convolve faster


# %%
starts = {
    "paper's start": new_model(superres.initialise_as_paper),
    "identity start": new_model(superres.initialise_as_identity),
}

# %%
bicubic = superres.score(cat_upscaled, cat_high, scale=3).psnr
print(f"bicubic         {bicubic:6.2f} dB on the cat")
for name, model in starts.items():
    print(f"{name:15} {validate(model):6.2f} dB, untrained")

# %%
EYE = {"top": 70, "left": 110, "size": 110}
pictures = {"bicubic: the input": cat_upscaled}
for name, model in starts.items():
    pictures[f"{name}, untrained"] = superres.sharpen(model, cat_upscaled)
pictures["truth"] = cat_high

# %%
crops = {title: plots.crop(picture, **EYE) for title, picture in pictures.items()}
figure = plots.picture_row(crops)
plots.show(
    figure,
    alt="The cat's eye: bicubic input, a black output from the paper's start, an almost unchanged one from the identity start, the truth.",
)

# %% [markdown]
# How fast can each learn? A weight moves by its gradient. That is a product: what comes in from the layers **before** (almost nothing, when their weights are near 0.001) times what comes back through the layers **behind** (almost nothing, for the same reason). Layer 3 suffers from the first, layer 1 from the second, layer 2 from both.

# %%
layers = ("patch_extraction", "mapping", "reconstruction")
for name, model in starts.items():
    superres.pixel_loss(model, upscaled.to(device), high.to(device), model.margin).backward()
    norms = [getattr(model, layer).weight.grad.norm().item() for layer in layers]
    model.zero_grad()
    print(
        f"{name:15} gradient's length: "
        + ", ".join(f"layer {i} {norm:.3e}" for i, norm in enumerate(norms, start=1))
    )

# %% [markdown]
# From the paper's start all three gradients are some 200 to 700 times smaller, although the picture is all wrong.
#
# **Ours**, now: the identity start; **Adam**, which divides each weight's step by the size of its recent gradients, so that small gradients no longer mean small steps; a learning rate of 0.002 (0.0002 in the last layer) that rises over the first 20 steps (section 11 says why) and then falls to zero along half a cosine, so that the weights settle at the end. The next cell trains live for 1200 steps, 30 to 60 seconds on one CPU core.


# %%
def two_rates(model, rate, last_rate):
    hidden = [*model.patch_extraction.parameters(), *model.mapping.parameters()]
    return [
        {"params": hidden, "lr": rate},
        {"params": model.reconstruction.parameters(), "lr": last_rate},
    ]


def warm_up_then_cosine(step):
    return training.cosine_schedule(step, steps=1200, warm_up=20)


# %% tags=["nbval-ignore-output", "live-training"]
ours = new_model(superres.initialise_as_identity)
optimizer = torch.optim.Adam(two_rates(ours, 2e-3, 2e-4))
our_curve = train(ours, optimizer, steps=1200, schedule=warm_up_then_cosine)

# %% [markdown]
# **Theirs**: the paper's start; plain gradient descent (SGD) with momentum 0.9; a fixed learning rate of 0.0001, and 0.00001 in the last layer; Caffe's loss, which sums over the pixels (section 7 says why this matters). We even help: batches of 32 instead of 128 give it four times as many steps for the same work. It gets about 15 seconds.


# %%
def caffe_loss(prediction, truth):
    return (prediction - truth).square().sum() / (2 * len(truth))


def paper_optimizer(model, rate=1e-4):
    return torch.optim.SGD(two_rates(model, rate, rate / 10), momentum=0.9)


# %% tags=["nbval-ignore-output", "live-training"]
theirs = new_model(superres.initialise_as_paper)
began = time.process_time()
their_curve = train(theirs, paper_optimizer(theirs), steps=500, loss=caffe_loss, every=50)
days = (time.process_time() - began) / (500 * 32) * 8e8 / 86_400
print(f"The paper's 800 million sub-images would take {days:.2g} days at this speed.")

# %%
print("from the live training:")
print("  ours passes bicubic on the cat:", our_curve[-1] > bicubic)
print("  by more than 0.3 dB:           ", our_curve[-1] > bicubic + 0.3)
print("  theirs passes bicubic:         ", their_curve[-1] > bicubic)
print("  theirs is more than 2 dB short:", their_curve[-1] < bicubic - 2)

# %% tags=["nbval-ignore-output"]
curves = {"ours: identity start, Adam": (100, our_curve)}  # from a name to steps and PSNRs
curves["theirs: paper's start, SGD"] = (50, their_curve)
figure = learning.race_figure(curves, bicubic)
plots.show(
    figure,
    alt="PSNR over training steps: our training passes bicubic within a few hundred steps, the paper's stays some decibels below.",
)

# %%
outputs = {
    f"bicubic, {bicubic:.1f} dB": cat_upscaled,
    "theirs, 500 steps": superres.sharpen(theirs, cat_upscaled),
    "ours, 1200 steps": superres.sharpen(ours, cat_upscaled),
    "truth": cat_high,
}
# %%
crops = {title: plots.crop(picture, **EYE).cpu() for title, picture in outputs.items()}
figure = learning.errors_figure(crops)
plots.show(
    figure,
    alt="The cat's eye by bicubic, by their and by our network after the live training, and the truth, with error maps under them.",
)

# %% [markdown]
# Look at the rim of the eye: bicubic leaves a bright ring in the error map, ours a fainter one; theirs so far has learnt little more than to blur. Now look at the fur: no map is dark there. What the small picture does not contain cannot be computed from it; the mean squared error makes the network answer with the average of all furs that would fit, and that average is smooth. Lesson 04 comes back to this.

# %% [markdown]
# ## 6. Why theirs took three days
#
# Their curve does three things in turn. It climbs out of black: the last bias learns the mean gray (18.6 dB). It stays there for a hundred steps, because almost nothing passes the three layers, forwards or backwards. Then a blurred picture appears within a hundred steps, and from there it creeps. On these photographs it needs some 10,000 steps to draw level with bicubic (the explorer below shows it). The paper's own curves run to about 8 · 10⁸ sub-images: three days on a GTX 770, or about a week on one CPU core of today.
#
# Nothing in that is a mistake. When the first version of the paper appeared, at ECCV in September 2014, neither Adam nor He's initialisation had been published. It is what the same 8,129 weights cost with the means of the time.

# %%
ours_seen, paper_seen = 1200 * 32, 800_000_000
print(
    f"sub-images seen: ours {ours_seen:,}, the paper's longest curves about {paper_seen:,}: {paper_seen / ours_seen:,.0f} times as many"
)

# %% [markdown]
# ## 7. The trap in the loss
#
# "I trained with the paper's learning rates and the loss does not move": you find this sentence under many reimplementations. The rates belong to **Caffe's** loss,
#
# $$L_\text{Caffe} = \frac{1}{2n} \sum_{i=1}^{n} \lVert F(Y_i; \Theta) - X_i \rVert^2 = \frac{p}{2}\, L .$$
#
# It averages over the $n$ sub-images but *sums* over the $p$ pixels. PyTorch's `MSELoss` averages over both.
#
# **Predict.** By what factor are all gradients smaller with `MSELoss`, for 21 × 21 outputs? And what does that do to a training with the paper's rates?

# %%
gradients = []
for loss in (caffe_loss, F.mse_loss):
    model = new_model(superres.initialise_as_paper)
    loss(model(upscaled.to(device), same_size=False), truth.to(device)).backward()
    gradients.append(model.reconstruction.weight.grad)

# %%
print(
    f"ratio of the gradients, Caffe's loss : MSELoss = {gradients[0].norm() / gradients[1].norm():.2f}"
)

# %%
trials = {
    "Caffe's loss, rate 0.0001": (caffe_loss, 1e-4),
    "MSELoss, rate 0.0001 (the trap)": (F.mse_loss, 1e-4),
    "MSELoss, rate 0.0001 × 220.5": (F.mse_loss, 1e-4 * 21**2 / 2),
}

# %% tags=["nbval-ignore-output", "live-training"]
trial_curves = {}
for name, (loss, rate) in trials.items():
    model = new_model(superres.initialise_as_paper)
    trial_curves[name] = train(model, paper_optimizer(model, rate), steps=60, loss=loss, every=10)

# %%
figure = learning.trials_figure(trial_curves, every=10)
plots.show(
    figure,
    alt="Three PSNR curves over 60 steps: Caffe's loss and the rescaled MSELoss coincide and rise, the unscaled MSELoss stays at the start.",
)

# %% [markdown]
# The factor is $p/2 = 441/2 = 220.5$ (144.5 for 9-5-5, whose outputs have 17 × 17 pixels). Multiplied by it, the rate gives the same training: the dots lie on the line. Adam would not have noticed: it divides by the size of the gradients, so the scale of the loss drops out.
#
# **Whenever you take a learning rate from a paper, look up over what its loss is summed.**

# %% [markdown]
# ## 8. Here is one we prepared earlier
#
# A minute passes bicubic. The course ships networks that trained longer, on 83 of the 91 photographs of T91. Each comes with a card that says how it was made.

# %%
shipped, card = checkpoints.load("srcnn-9-5-5-x3", superres.SRCNN(9, 5, 5))
print("from the card of the shipped weights:")
print(f"  trained by: {card.command}")
print(f"  computing time: {card.cpu_seconds / 60:.0f} minutes of one CPU core")
print(f"  best step, by photographs held out of T91: {card.metrics['best_step']:,}")
print(f"  PSNR on those: {card.metrics['held_out_t91_psnr']:.2f} dB")

# %% [markdown]
# The recipe, `recipes.SUPER_RESOLUTION`, adds five things to what you did:
#
# - **Larger sub-images, fewer of them.** A border is lost on each cut, so larger cuts waste less of the computing.
# - **Averaged weights.** The network that is kept is the moving average of the last thousand steps or so. Single steps jump about the valley; their average lies nearer to its floor.
# - **Half the bits.** The convolutions compute in bfloat16, which many recent processors do about twice as fast (others have no such instructions and gain nothing). The rounding shifts the mean gray a little, so the last bias is set anew in full precision before each validation.
# - **A hold-out.** The photographs of T91 that are not trained on decide which step is kept. Set5 decides nothing: it is the test.
# - **Muon** instead of Adam for the weights of the first two layers (the last layer, a single filter, and the biases keep Adam), in three sentences. The weight of a layer is a matrix, one row a filter, and its gradient is dominated by a few directions, so plain descent and even Adam keep changing the filters in the same few ways. Muon replaces the gradient (with momentum) by the nearest matrix whose directions all have the same length. The rare ways to change a filter are then learnt as fast as the common ones.

# %%
recipe = recipes.SUPER_RESOLUTION["srcnn-9-5-5-x3"]
side = recipe.output_size + 2 * shipped.margin
print(
    f"{recipe.steps:,} steps of {recipe.batch_size} sub-images, {side} x {side} -> {recipe.output_size} x {recipe.output_size} pixels"
)
print(
    f"peak learning rates {recipe.learning_rate} and, last layer, {recipe.last_layer_learning_rate}; identity start, cosine schedule"
)

# %% [markdown]
# You can see it in the singular values of a gradient, which are the lengths of its directions: here of the shipped 9-1-5 network, on the batch from above.

# %%
small, _ = checkpoints.load("srcnn-9-1-5-x3", superres.SRCNN(9, 1, 5))
superres.pixel_loss(small, upscaled, high, small.margin).backward()
gradient = small.mapping.weight.grad.flatten(1)  # (32, 64, 1, 1) -> (32, 64)
before = torch.linalg.svdvals(gradient / gradient.norm())
after = torch.linalg.svdvals(training.orthogonalise(gradient))

# %%
figure = learning.singular_values_figure(before, after)
plots.show(
    figure,
    alt="The singular values of a gradient fall over two powers of ten; after Muon's step all of them lie near one.",
)

# %% [markdown]
# Now the shipped networks at work, live, on the photographs that come with the course. **These stand in for Set5**, and none of them was in T91, so here all five are test pictures.

# %%
photographs = datasets.super_resolution_set("embedded")
scores_small, scores = (
    superres.evaluate(model, photographs, scale=3) for model in (small, shipped)
)

# %%
print("measured now, x3, dB   bicubic   9-1-5   9-5-5")
for name, row in scores["per_image"].items():
    print(
        f"{name:22} {row['bicubic_psnr']:7.2f} {scores_small['per_image'][name]['psnr']:7.2f} {row['psnr']:7.2f}"
    )
print(
    f"{'mean':22} {scores['bicubic_psnr']:7.2f} {scores_small['psnr']:7.2f} {scores['psnr']:7.2f}"
)

# %%
_, upscaled, high = superres.prepare(datasets.photograph("astronaut"), scale=3)
pictures = {
    "bicubic": upscaled,
    "SRCNN 9-5-5, shipped": superres.sharpen(shipped, upscaled),
    "truth": high,
}

# %%
figure = plots.picture_row(
    {title: plots.crop(picture, top=60, left=170, size=110) for title, picture in pictures.items()}
)
plots.show(
    figure,
    alt="The astronaut's face by bicubic, by the shipped network and in truth: the network's edges are sharper than bicubic's.",
)

# %% [markdown]
# And the headline. In 2015 the authors' best network had learnt from 395,909 ImageNet pictures, for days on a GPU. At x3 it was their record on Set5, and better than each method they compared it with.

# %%
measured = card.metrics["set5"]["psnr"]
print(
    "the authors' record of 2015, from the paper:     32.75 dB  (395,909 pictures, days on a GPU)"
)
print(
    f"our weights on Set5, from their card:            {measured:.2f} dB  (83 pictures, 7 more to choose the step, {card.cpu_seconds / 60:.0f} minutes of one CPU core)"
)
print("the authors' record is reached:", round(measured, 2) >= 32.75)

# %% [markdown]
# ## 9. Paper versus ours
#
# Set5, PSNR in dB and SSIM. The published rows are from the papers, ours from the cards of the shipped weights; a test of the course measures them again.

# %%
published = {
    "bicubic": ("33.66 .9299", "30.39 .8682", "28.42 .8104"),
    "sparse coding, SC (2010)": ("-", "31.42 .8821", "-"),
    "A+ (2014)": ("36.54 .9544", "32.59 .9088", "30.28 .8603"),
    "SRCNN 9-1-5, 91 images": ("36.34", "32.39", "30.09"),
    "SRCNN 9-1-5, ImageNet": ("-", "32.52", "-"),
    "SRCNN 9-5-5, ImageNet": ("36.66 .9542", "32.75 .9090", "30.49 .8628"),
}


# %%
def from_cards(network):
    names = [f"srcnn-{network}-x{scale}" for scale in (2, 3, 4)]
    found = [
        checkpoints.load_card(name).metrics["set5"]
        if name in checkpoints.checkpoint_names()
        else None
        for name in names
    ]
    return tuple(
        f"{row['psnr']:.2f} {row['ssim']:.4f}".replace(" 0.", " .") if row else "-" for row in found
    )


# %%
ours_in_table = {f"ours, {network}, T91": from_cards(network) for network in ("9-1-5", "9-5-5")}
print(f"{'Set5':26}{'x2':13}{'x3':13}{'x4':13}")
for name, cells in (published | ours_in_table).items():
    print(f"{name:26}" + "".join(f"{cell:13}" for cell in cells))

# %%
at_x3 = {name: float(cells[1].split()[0]) for name, cells in (published | ours_in_table).items()}
at_x3 = dict(sorted(at_x3.items(), key=lambda item: item[1]))
figure = learning.table_figure(at_x3)
plots.show(
    figure,
    alt="Dot plot of the PSNR on Set5 at scale 3, from bicubic over sparse coding, A+ and SRCNN to the weights of this course.",
)

# %% [markdown]
# **Why do ours differ?** The architecture and the protocol are the paper's. The means are not: a start near the identity, Muon, a falling learning rate, averaged weights, mirrored and turned sub-images. Compare like with like: from 91 images the paper's 9-1-5 reaches 32.39. The ImageNet row has seen over 4,000 times as many pictures; that ours comes so close says that the small network was shorter of *optimisation* than of *pictures*.
#
# **What the table does not say.** Set5 is five pictures, and it was the paper's validation set: a difference of a few hundredths is no difference. Later papers list SRCNN with other numbers (30.48 at x4, for instance). Those are re-evaluations with a slightly different resizing, not misprints. Look at other sets as well before you believe in a winner; `python -m lessons_utils evaluate` measures any folder of pictures.

# %% tags=["marked"]
# With Set5 at hand (or about 1 MB of download): set to True and run.
measure_live = False
if measure_live:
    set5 = superres.evaluate(shipped, datasets.super_resolution_set("Set5"), scale=3)
    print(
        f"Set5 x3, measured now: bicubic {set5['bicubic_psnr']:.2f} dB, ours {set5['psnr']:.2f} dB, SSIM {set5['ssim']:.4f}"
    )
    print(
        f"on the card:           bicubic {card.metrics['set5']['bicubic_psnr']:.2f} dB, ours {measured:.2f} dB"
    )

# %% [markdown]
# ## 10. Try to break it
#
# The explorer holds snapshots of three trainings of the 9-1-5 network on the same four photographs, 10,000 steps of 16 sub-images each (made by `python -m lessons_utils.explorers.learning`). Move the step, then change the training.
#
# **At which step does the picture pass bicubic, for each of the three? What appears first: the sharp rim of the eye, or the texture of the fur? And what happens to the filters from the paper's start?**

# %% tags=["explorer"]
learning.network_at_step(datasets.photograph("cat"), top=70, left=110)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Identity start and Adam: before step 30 in this run; in section 5, with other batches, between 100 and 200. At the full rate the early steps jump about. The paper's start and Adam: between 3,000 and 10,000. The paper's start and SGD: only at 10,000, and barely.
#
# The sharp rim comes first: its bright ring in the error map fades from step 300 on. The fur never comes; after 10,000 steps its errors are where they were.
#
# The filters tell why the paper's start is slow. By step 300 most have become the *same* filter, a soft blob, and by 10,000 the same again, a blob with a dark ring: a sharpening filter. Where all weights are tiny, all filters get nearly the same gradient and learn the same thing. Sixty-four copies of one filter see no more than one. The identity start keeps its filters different, and so does Muon, which was made to lift the directions in which they differ.
#
# </details>

# %% [markdown]
# ## 11. What goes wrong in practice
#
# **PSNR against the wrong picture.** Some test scripts compare the network's output with its bicubic *input* instead of the truth. The number looks splendid, and a network that does nothing would win with infinity.

# %%
sharpened = superres.sharpen(shipped, cat_upscaled.cpu())
print(f"against the truth:  {superres.score(sharpened, cat_high.cpu(), scale=3).psnr:.2f} dB")
print(
    f"against the input:  {superres.score(sharpened, cat_upscaled.cpu(), scale=3).psnr:.2f} dB   <- measures how little it changed"
)

# %% [markdown]
# **Choosing the epoch on the test set.** Validate 100 epochs of a training on Set5, report the best. Suppose all these networks are equally good, and the PSNR on five pictures wobbles by 0.03 dB from one to the next:

# %%
wobble = 0.03 * torch.randn(
    1000, 100, generator=torch.Generator().manual_seed(0)
)  # 1000 papers, 100 epochs each
print(f"gain from picking the best of 100 equal networks: {wobble.max(dim=1).values.mean():.2f} dB")

# %% [markdown]
# That gain is made of nothing, and it is nearly as large as the step from 9-3-5 (32.66) to 9-5-5 (32.75). Choose on pictures that are neither trained on nor reported.
#
# **One rate for all layers, at full strength from the first step.** The first step of Adam moves *every* weight by the whole learning rate, whatever its gradient. For a start that is nearly right, this is a blow.

# %%
settings = {
    "one rate, no warm-up": (2e-3, lambda step: 1.0),
    "two rates, no warm-up": (2e-4, lambda step: 1.0),
    "two rates, warm-up": (2e-4, warm_up_then_cosine),
}

# %% tags=["nbval-ignore-output", "live-training"]
blows = {}
for name, (last_rate, schedule) in settings.items():
    model = new_model(superres.initialise_as_identity)
    optimizer = torch.optim.Adam(two_rates(model, 2e-3, last_rate))
    blows[name] = train(model, optimizer, steps=5, schedule=schedule, every=5)

# %%
for name, (untrained, after_5_steps) in blows.items():
    print(f"{name:22} {untrained:.1f} dB untrained, {after_5_steps:.1f} dB after 5 steps")

# %% [markdown]
# The training recovers from such a blow, but it spends hundreds of steps on it. And its cousin, the right rate for the wrong loss, you met in section 7.

# %% [markdown]
# ## Summary
#
# - Degrade whole pictures, then cut; train without padding on the mean squared error, which is PSNR in other units.
# - A start near the identity and an optimiser that does not depend on the size of the gradients turn three days into minutes; the architecture is the paper's.
# - With 83 of T91's pictures the network reaches the authors' record of 2015 at x3 (read the other columns, too); believe such a number only with its protocol, its hold-out and its card.
#
# **Next:** lesson 04 looks inside the trained network.
#
# **Reading.** Dong et al. (TPAMI 2015), sections 3.3 and 4; He et al., *Delving Deep into Rectifiers* (2015), for the start; Jordan et al., *Muon: an optimizer for hidden layers in neural networks* (2024).
