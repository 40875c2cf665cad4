# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 12 · Temperature
#
# One number, put under every logit, turns a poor detector into a better one, for photographs. You find out what it changes, why it changes nothing for cats and dogs, and why a very large one is enough.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/cnns-for-other-image-tasks/blob/main/notebooks/12_temperature_softmax.ipynb)
#
# **Budget:** 35 s on a CPU core (GPU: not measured) · 1.2 GB of memory · nothing to download
#
# **You will be able to**
#
# - say what temperature does to one image, and what it does to a comparison of two;
# - prove that with two classes no temperature changes any ranking, so no ROC, AUROC or FPR at 95 % TPR;
# - derive the paper's Taylor argument step by step, with numbers, and say from which T on it holds;
# - tell which rivals the score listens to at small and at large T, and on which images a large T does harm;
# - compute it without losing it to rounding.
#
# **Lecture and paper.** The lecture's slide on temperature softmax; Liang, Li, Srikant, *Enhancing The Reliability of Out-of-distribution Image Detection in Neural Networks* (ICLR 2018), Eqn. 1 and the discussion of the temperature with Proposition 1.

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

from lessons_utils import anomaly, checkpoints, datasets, plots, recipes
from lessons_utils.explorers import temperature
from lessons_utils.scenes import zoo

# %% [markdown]
# ## 1. One image
#
# Lesson 11 ended with a detector that trusts the largest probability, and with a network that is far too sure. The paper's first change is one division. With $f_i(x)$ the logit of class $i$ for image $x$, $N$ the number of classes and $T > 0$ the **temperature**:
#
# $$S_i(x; T) = \frac{\exp(f_i(x) / T)}{\sum_{j=1}^{N} \exp(f_j(x) / T)} \qquad (1)$$
#
# $T = 1$ is the softmax you know. Two photographs at CIFAR-10's size, a cat and a cup of coffee, go into our ten-class network (shipped weights). There is no class "cup".


# %%
def small(name):
    picture = datasets.photograph(name)  # (1, 3, H, W), in [0, 1]
    side = picture.shape[-2]
    square = plots.crop(picture, 0, (picture.shape[-1] - side) // 2, side)
    return F.interpolate(square, (32, 32), mode="bicubic", antialias=True).clamp(0, 1)


# %%
pictures = {"a cat": small("cat"), "a cup of coffee": small("coffee")}
model, card = checkpoints.load("cifar10-compact", recipes.network("cifar10-compact"))
print("trained by:", card.command)
logits = anomaly.classify(model, torch.cat(list(pictures.values())))  # (2, 10), float64
for name, row in zip(pictures, logits, strict=True):
    print(f"{name:16s}", " ".join(f"{value:6.1f}" for value in row), " (live, shipped weights)")


# %%
def softmax_at(logits, T):  # (B, N) -> (B, N)
    powers = torch.exp(logits.double() / T)
    return powers / powers.sum(dim=1, keepdim=True)


for T in (1, 10, 1000):
    same = torch.allclose(softmax_at(logits, T), anomaly.temperature_softmax(logits, T))
    print(f"T = {T:4d}: the finished form, anomaly.temperature_softmax, says the same: {same}")

# %% [markdown]
# **Predict.** What do the ten bars look like at $T = 1000$? Can another class win?

# %%
figure = temperature.bars_figure(pictures, logits, anomaly.CIFAR10_CLASSES, (1, 10, 1000))
plots.show(
    figure,
    alt="A cat and a cup, each with ten bars at three temperatures: one high bar at T = 1, a gentle slope at 10, ten bars of nearly one tenth at 1000; enlarged, the slope is still there. The longest bar is the same at every T.",
)

# %% [markdown]
# Dividing by a positive number keeps the order, so **the named class never changes**, nor does accuracy. Only the sureness does: towards 1 for $T \to 0$, towards $1/N$ (dotted) for $T \to \infty$.
#
# At $T = 1000$ every score is near 0.1, and the network seems to know nothing. But nothing is lost: enlarged (far right), the bars differ from each other as the logits do. And the paper says: *there* you can tell the cup from the cat. Why there?

# %% [markdown]
# ## 2. Two images
#
# A detector compares the score with a threshold, and so, in effect, **images with each other**. Within an image the order is fixed. Between two images it is not. Take three classes and two images:
#
# - A, logits (4, 2, −6): a cat that might be a dog, and is certainly no truck;
# - B, logits (2, −1, −1): nothing fits well, the rest fits a little worse.
#
# **Predict** by hand: which has the larger score at $T = 1$? And at $T = 10$? (Subtract the largest logit first: only the gaps matter.)

# %%
two = torch.tensor([[4.0, 2.0, -6.0], [2.0, -1.0, -1.0]])
for T in (0.5, 1, 2, 10, 1000):
    a, b = anomaly.maximum_softmax(two, T).tolist()
    print(f"T = {T:6}:  A {a:.5f}   B {b:.5f}   surer of {'A' if a > b else 'B'}")

# %%
several = torch.logspace(-0.5, 2, 26).tolist()
curves = {
    name: [anomaly.maximum_softmax(two[n : n + 1], T).item() for T in several]
    for n, name in enumerate(("A: one near rival, one far", "B: two rivals in the middle"))
}
plots.show(
    temperature.curves_figure(several, curves, "The two change places", "largest probability"),
    alt="The scores of A and B fall as T grows, from 1 to a third; B is above A at T = 1 and below it from T = 2 on.",
)

# %% [markdown]
# At small T a single near rival counts, and A has one. At large T **all** rivals count, and A's other rival is far away. So the hope is: a picture the network knows has *all* other classes far behind it, a picture that it does not know has them all near. That can be measured.

# %% [markdown]
# ## 3. A few thousand images
#
# The **score banks** hold the logits of thousands of images, so nothing needs to be downloaded: of the paper's architecture, a DenseNet (weights of others), and of our compact network. What lesson 11 called known and odd is **inside** and **outside** from here. Inside are CIFAR-10's test images, outside are crops from TinyImageNet.

# %% tags=["explorer"]
banks = {
    "DenseNet": anomaly.load_bank("densenet-cifar10"),
    "ours": anomaly.load_bank("cifar10-compact"),
}

# %%
for bank in banks.values():
    parts = [
        f"{key} {len(bank.sets[key].logits):,}" for key in ("cifar10-test", *temperature.NAMES)
    ]
    print(f"score bank {bank.card.name}: accuracy {100 * bank.card.accuracy:.1f} %")
    print("   images: " + ", ".join(parts))


# %%
def scores(name, kind, T):  # -> (M,), larger for what the network knows
    return anomaly.maximum_softmax(banks[name].sets[kind].logits, T)


# %% [markdown]
# **Predict.** At $T = 1000$ all scores lie within a few thousandths of each other. Are the two histograms more, or less, apart than at $T = 1$?

# %%
panels = {}
for T in (1, 10, 1000):
    inside, outside = (
        scores("DenseNet", kind, T) for kind in ("cifar10-test", "tinyimagenet-crop")
    )
    panels[f"T = {T}"] = {"CIFAR-10": inside, "TinyImageNet, crop": outside}
    both = torch.cat([inside, outside])
    print(f"T = {T:4d}: scores from {both.min():.4f} to {both.max():.4f}", end="   ")
    fpr, auroc = anomaly.fpr_at_tpr(inside, outside), anomaly.auroc(inside, outside)
    print(f"FPR at 95 % TPR {100 * fpr:5.1f} %, AUROC {100 * auroc:.1f} %  (bank, DenseNet)")

# %%
plots.show(
    temperature.histograms_figure(panels),
    alt="Three pairs of histograms. At T = 1 CIFAR-10 piles up at 1 and the crops spread from 0.2 to 1; at T = 10 and 1000 they are two hills, and most of the outside one lies left of the dashed line.",
)

# %% [markdown]
# The dashed line is passed by 95 % of the CIFAR-10 images; the orange right of it are false positives. At $T = 1$ CIFAR-10 is crushed against 1, and the crops reach from 0.2 up to it. A larger T does more than stretch the axis, which would change no rate: it changes the *order* of the images, as it did for A and B. Small numbers are no harm: a threshold can be 0.1009 as well as 0.82.
#
# Now all temperatures, three outside sets, both networks. The paper reports that the detector gets better with T and that **above about 100 little changes any more**. **Predict** where you would stop.

# %%
T_grid = (0.5, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
swept = ("tinyimagenet-crop", "tinyimagenet-resize", "cifar100")
sweep = {}
for kind in swept:
    parts = (banks["DenseNet"].sets[key].logits for key in ("cifar10-test", kind))
    sweep[temperature.NAMES[kind]] = temperature.false_positives(*parts, T_grid)

# %%
title = "DenseNet (score bank): false positives over the temperature, no other change"
plots.show(
    temperature.curves_figure(T_grid, sweep, title, "FPR at 95 % TPR, %"),
    alt="Three curves, steeply falling to about T = 10, then flat.",
)

# %%
print("FPR at 95 % TPR, in %, from the score banks")
print("T =                            " + " ".join(f"{T:5g}" for T in T_grid[1::2]))
for name in banks:
    for kind in swept:
        parts = (banks[name].sets[key].logits for key in ("cifar10-test", kind))
        row = temperature.false_positives(*parts, T_grid[1::2])
        print(f"{name:9s} {temperature.NAMES[kind]:21s}" + " ".join(f"{v:5.1f}" for v in row))

# %% [markdown]
# Most of the gain comes between 1 and 10. Keep that in mind: the theory of sections 5 and 6 is about the flat part.

# %% [markdown]
# ## 4. The surprise: two classes
#
# Of drawn bears, lesson 11's cats-and-dogs network is nearly as sure as of dogs. Let us rescue it. **Predict:** by how much do its false positives fall with $T = 1000$?
#
# Try to prove your answer. With two classes write $d = |f_1 - f_2|$ for the gap, and $\sigma(z) = 1/(1 + e^{-z})$. What is the largest probability, in terms of $d$ and $T$?

# %% [markdown]
# <details><summary>Proof</summary>
#
# Divide numerator and denominator of the larger probability by the larger exponential:
#
# $$\max_i S_i(x; T) = \frac{1}{1 + e^{-d/T}} = \sigma(d / T) \qquad (2)$$
#
# For every $T$ this grows strictly with $d$, and $d$ knows nothing of $T$. So **at every temperature the images stand in the same order**, that of their $d$. A threshold $\delta$ at $T = 1$ has a twin $\delta' = \sigma\big(\sigma^{-1}(\delta) / T\big)$ that accepts exactly the same images. TPR, FPR, ROC, AUROC: each depends on the order alone. Nothing changes. ∎
#
# Also for lesson 13: $\log \sigma(d/T)$ has the gradient $\frac{1}{T}\,\sigma(-d/T)\,\nabla d$ with respect to the picture. The factor in front is positive, so its **sign** does not depend on T, either.
# </details>
#
# Now see it. The drawn zoo's network for two classes (shipped weights) meets drawn cats and dogs, and drawings of bears and of things, which are neither.

# %%
pair, _ = checkpoints.load("zoo-cats-dogs", recipes.network("zoo-cats-dogs"))
groups = {"cats and dogs": ("cat", "dog"), "bears": zoo.NEAR, "things": zoo.THINGS}
drawn = {title: zoo.images(kinds, "test", 300)[0] for title, kinds in groups.items()}  # drawings
drawn = {title: anomaly.classify(pair, images) for title, images in drawn.items()}  # (300, 2)

# %%
print("inside: drawn cats and dogs; two classes   (live, shipped weights)")
for T in (1, 10, 1000):
    pets, *others = (anomaly.maximum_softmax(part, T) for part in drawn.values())
    print(f"T = {T:4d}: threshold {anomaly.threshold_at_tpr(pets):.6f}", end="")
    for title, values in zip(("bears", "things"), others, strict=True):
        fpr, auroc = anomaly.fpr_at_tpr(pets, values), anomaly.auroc(pets, values)
        print(f"   {title}: FPR {100 * fpr:5.2f} %, AUROC {100 * auroc:.2f} %", end="")
    print()

# %% [markdown]
# Only the threshold moves. And the twin of a threshold can be computed, without any image:

# %%
delta, T = 0.9, 1000
twin = torch.sigmoid(torch.logit(torch.tensor(delta, dtype=torch.float64)) / T).item()
one = anomaly.maximum_softmax(drawn["things"], 1) >= delta
other = anomaly.maximum_softmax(drawn["things"], T) >= twin
print(f"0.9 at T = 1 is {twin:.6f} at T = 1000")
print(f"of 300 things {int(one.sum())} pass; the same ones: {torch.equal(one, other)}")

# %% [markdown]
# ### How many classes does it take?
#
# From the ten-class DenseNet we keep the logits of cat and dog alone, and CIFAR-10's cats and dogs (real photographs). Then we add a class at a time. (A stand-in: a network that was *trained* on fewer classes has other logits. The theorem holds for any logits.)

# %%
counts = range(2, 11)
kept = [temperature.keep_classes(banks["DenseNet"], "tinyimagenet-crop", n) for n in counts]
table = [temperature.false_positives(*parts, (1, 10, 1000)) for parts in kept]
print("from the score bank, DenseNet; FPR at 95 % TPR, in %")
for n, row in zip(counts, table, strict=True):
    print(f"{n:2d} classes:  T = 1 {row[0]:5.1f}   T = 10 {row[1]:5.1f}   T = 1000 {row[2]:5.1f}")

# %%
columns = dict(zip(("T = 1", "T = 10", "T = 1000"), zip(*table, strict=True), strict=True))
plots.show(
    temperature.classes_figure(counts, columns),
    alt="False positives over the number of classes: with two classes the three lines meet; from three on T = 10 and T = 1000 lie far below T = 1.",
)

# %% [markdown]
# With two classes there is a single rival: no "other rivals" that a larger T could look at. So this lesson moves on with ten. (A two-class detector may be good, as on the drawn things, or poor, as on the drawn bears and on real photographs. T has no say in it.)
#
# ### Try to break it
#
# **Question.** With all ten classes, find an outside set where turning T up makes things *worse*. Then take classes away: does the curve become flat at two for every set and both networks?

# %% tags=["explorer"]
temperature.turn_the_temperature(banks)

# %% [markdown]
# <details><summary>Answer</summary>
#
# It is flat at two classes, always: that is a theorem, not a finding. (The slider starts at $T = 1$. Below, scores begin to round to 1, and tied images lose their order: section 10.) "Worse" happens on noise, Gaussian and uniform, for both networks: section 8 asks why. (On CIFAR-100, too, the DenseNet is best near $T = 10$; a larger T costs about a point.)
# </details>

# %% [markdown]
# ## 5. Why: the paper's Taylor argument
#
# Four steps, with the numbers of one CIFAR-10 image beside each. Let $\hat y$ be the class of the largest logit and $g_i = f_{\hat y} - f_i \ge 0$ the **gap** to class $i$; the winner's own gap is 0.
#
# **Step 1, exact.** Divide numerator and denominator of $S_{\hat y}$ by $\exp(f_{\hat y}/T)$:
#
# $$S_{\hat y}(x; T) = \frac{1}{\sum_{i=1}^N \exp(-g_i / T)} \qquad (3)$$

# %%
f = banks["DenseNet"].sets["cifar10-test"].logits[0].double()  # (10,)
N, T = len(f), 100
gaps = f.max() - f
print("gaps:", " ".join(f"{g:.1f}" for g in gaps))
print(f"T = {T}: 1 / sum of exp(-gap / T) = {1 / (-gaps / T).exp().sum():.6f}")
print(f"         the score, by (1)        = {softmax_at(f[None], T).max():.6f}")

# %% [markdown]
# **Step 2, expand.** For $u \ge 0$ the exponential is $e^{-u} = 1 - u + \frac{u^2}{2} - r$ with a remainder $0 \le r \le \frac{u^3}{6}$. Put $u = g_i / T$, and add up over the classes. (The winner has $u = 0$ and contributes 1.)
#
# $$\sum_{i=1}^N e^{-g_i/T} \;\approx\; N - \frac{1}{T} \sum_{i \ne \hat y} g_i + \frac{1}{2 T^2} \sum_{i \ne \hat y} g_i^2 \qquad (4)$$
#
# The true sum is smaller than that, by at most $\frac{1}{6T^3}\sum_i g_i^3$.

# %%
T = 100
exact = (-gaps / T).exp().sum()
expanded = N - gaps.sum() / T + gaps.square().sum() / (2 * T**2)
at_most = (gaps**3).sum() / (6 * T**3)
print(f"{N} - {gaps.sum() / T:.5f} + {gaps.square().sum() / (2 * T**2):.5f} = {expanded:.5f}")
print(f"exact: {exact:.5f}   too large by {expanded - exact:.5f}, at most {at_most:.5f}")

# %% [markdown]
# **Step 3, names.** The paper calls the two means over the $N - 1$ rivals
#
# $$U_1 = \frac{1}{N-1} \sum_{i \ne \hat y} \big(f_{\hat y} - f_i\big), \qquad U_2 = \frac{1}{N-1} \sum_{i \ne \hat y} \big(f_{\hat y} - f_i\big)^2 \qquad (5)$$
#
# so that the approximation reads
#
# $$S_{\hat y}(x; T) \;\approx\; \frac{1}{N - \dfrac{N - 1}{T}\Big(U_1 - \dfrac{U_2}{2T}\Big)} \qquad (6)$$

# %%
T = 100
U1, U2 = gaps.sum() / (N - 1), gaps.square().sum() / (N - 1)
approximate = 1 / (N - (N - 1) / T * (U1 - U2 / (2 * T)))
print(f"U1 = {U1:.3f}   U2 = {U2:.2f}   U1 - U2 / (2 T) = {U1 - U2 / (2 * T):.3f}")
print(f"score: exact {1 / exact:.6f}, approximately {approximate:.6f}")
packaged = anomaly.logit_gaps(f[None])
print(f"the finished form, anomaly.logit_gaps: {packaged[0].item():.3f}, {packaged[1].item():.2f}")

# %% [markdown]
# **Step 4, compare images.** At a fixed $T$, all but the bracket is the same for every image. Where the approximation holds, the detector ranks by
#
# $$U_1 - \frac{U_2}{2T}$$
#
# (The paper writes $S \propto (U_1 - U_2 / 2T)\,/\,T$.) $U_1$ says **how far the winner stands above the rest**. $U_2$ is taken off, and with a growing $T$ its weight fades.
#
# **Predict.** For gaps of 10 or 20, from which T on may you trust three terms? Think of $u = g/T$.

# %%
known, unknown = (
    banks["DenseNet"].sets[k].logits.double() for k in ("cifar10-test", "tinyimagenet-crop")
)
examples = {"a CIFAR-10 image": gaps, "a TinyImageNet crop": unknown[0].max() - unknown[0]}
plots.show(
    temperature.expansion_figure(examples),
    alt="The sum below the fraction bar over T, exact and expanded: the curves part wildly at small T and meet when T is a few times the gaps.",
)

# %%
print("FPR at 95 % TPR, in %, ranked by ...           (bank, DenseNet, TinyImageNet crop)")
print("     T   the score   U1 - U2 / (2 T)   U1")
for T in (1, 10, 20, 50, 100, 1000):
    row = [temperature.false_positives(known, unknown, [T])[0]]
    for halved in (1 / (2 * T), 0):
        ranks = [a - b * halved for a, b in map(anomaly.logit_gaps, (known, unknown))]
        row.append(100 * anomaly.fpr_at_tpr(*ranks))
    print(f"{T:6d} {row[0]:11.1f} {row[1]:17.1f} {row[2]:4.1f}")

# %% [markdown]
# The expansion needs $g/T$ well below 1: here a T of 50 or more. There it ranks nearly as the score does. At $T = 1$ it is worthless: with a gap of 20, three terms of $e^{-20}$ give $1 - 20 + 200 = 181$.
#
# So the Taylor argument explains the **flat part** of the sweep. What happens between 1 and 10 is section 7's business.

# %% [markdown]
# ## 6. The limit
#
# **Proposition 1 of the paper**: for $T \to \infty$ the detector depends on $U_1$ alone. You have all it takes. From step 3,
#
# $$N S - 1 \;=\; \frac{N - 1}{N}\,\frac{U_1}{T} + O\!\left(\frac{1}{T^2}\right) \qquad\Longrightarrow\qquad \frac{N}{N-1}\,T\,(N S - 1) \;\longrightarrow\; U_1 \qquad (7)$$
#
# The left side is a rising function of the score, so it ranks as the score does. Of two images with different $U_1$ the one with the larger $U_1$ has the larger score, from some T on.
#
# **Predict.** Does it get better and better up to $T = 10^{18}$?

# %%
print(f"U1 of our image: {U1:.4f}")
for exponent in (1, 2, 3, 4, 6, 9, 18):
    T = 10.0**exponent
    S = anomaly.maximum_softmax(f[None], T).item()
    print(f"T = 1e{exponent:<2d}   N / (N - 1) T (N S - 1) = {N / (N - 1) * T * (N * S - 1):.2f}")

# %% [markdown]
# First it closes in, then rounding takes over: $S - 1/N$ shrinks like $1/T$, but a float64 near 0.1 has steps of $10^{-17}$. At $10^{18}$ all scores are exactly 0.1. The limit is for the proof. In practice 1000 is infinity enough.
#
# ### Two other names for the same thing
#
# Write $\bar f$ for the mean of all $N$ logits. Then $U_1 = \frac{1}{N-1}\big(N f_{\hat y} - \sum_i f_i\big) = \frac{N}{N-1}\big(f_{\hat y} - \bar f\big)$. **If $\bar f$ is the same for all images, $U_1$ ranks as the largest logit does**, and ODIN without its second half is the "MaxLogit" detector.
#
# Is it? Cross-entropy does not feel a constant added to all logits: its gradient, $S_i - [i = \text{label}]$, sums to zero over the classes. So plain gradient descent never changes the sum over the classes of the last layer's weights, and weight decay shrinks it to nothing. **Predict:** does that hold for Adam, which scales each weight's step by itself?

# %%
guess = torch.randn(4, 10, dtype=torch.float64, requires_grad=True)
F.cross_entropy(guess, torch.tensor([3, 5, 0, 1])).backward()
sums = guess.grad.sum(dim=1)  # (4, 10) -> (4,)
print("the gradient sums to zero over the classes:", bool(sums.abs().max() < 1e-12))

# %%
print("score banks, CIFAR-10     mean logit: mean      std   largest logit: std")
for name, bank in banks.items():
    inside = bank.sets["cifar10-test"].logits.double()
    mean, largest = inside.mean(dim=1), inside.amax(dim=1)
    print(f"{name:24s} {mean.mean():17.3f} {mean.std():8.3f} {largest.std():20.3f}")

# %%
rankings = {
    "T = 1000": lambda logits: anomaly.maximum_softmax(logits, 1000),
    "T = 1e6": lambda logits: anomaly.maximum_softmax(logits, 1e6),
    "U1": lambda logits: anomaly.logit_gaps(logits)[0],
    "largest logit": anomaly.maximum_logit,
}
print("FPR at 95 % TPR / AUROC, in %, TinyImageNet crop, from the score banks")
for name, bank in banks.items():
    sets = [bank.sets[key].logits for key in ("cifar10-test", "tinyimagenet-crop")]
    for title, score in rankings.items():
        m = anomaly.measure(*(score(part) for part in sets))
        print(f"{name:9s} {title:14s} {100 * m['fpr95']:5.1f} / {100 * m['auroc']:.1f}")

# %% [markdown]
# For the DenseNet, trained by gradient descent with momentum, the mean logit is the same for all images, nearly zero, and the largest logit is as good as $U_1$. Our compact network's last layer was trained by Adam: its mean logit varies from image to image, and the largest logit is *not* $U_1$. Look before you replace one by the other.

# %% [markdown]
# ## 7. U1 and U2, measured
#
# The argument needs two facts about networks, not about formulas. $U_1$ must be larger inside. And if large T helps *because* $U_2$ fades, then $U_2$ must work against us: of two images with the same $U_1$, the inside one must have the larger $U_2$. Since
#
# $$U_2 = U_1^2 + \operatorname{Var} \qquad (8)$$
#
# with Var the variance of the rivals' logits, that says: **inside, the rivals differ more from each other** (a cat is more like a dog than like a truck). The paper reports both facts for its networks. **Predict:** a strong or a weak effect?

# %%
kinds = {"CIFAR-10": "cifar10-test", "crop": "tinyimagenet-crop", "resized": "tinyimagenet-resize"}
moments = {
    title: anomaly.logit_gaps(banks["DenseNet"].sets[kind].logits) for title, kind in kinds.items()
}
plots.show(
    temperature.spread_figure(moments, edges=range(2, 32, 2)),
    alt="Left, histograms of U1: CIFAR-10 far to the right of the others. Right, the spread of the rivals over U1: the curves lie close together.",
)

# %%
edges = range(2, 32, 2)
print("Var inside / Var outside, at about the same U1 (mean over bins of width 2; score banks)")
for name, bank in banks.items():
    sets = [anomaly.logit_gaps(bank.sets[kind].logits) for kind in kinds.values()]
    spreads = [temperature.mean_in_bins(u1, u2 - u1.square(), edges) for u1, u2 in sets]
    for title, outside in zip(list(kinds)[1:], spreads[1:], strict=True):
        print(f"{name:9s} outside: {title:8s} {(spreads[0] / outside).nanmean():.2f}")

# %% [markdown]
# The first fact is plain to see, on photographs. The second is mild: there for the crops; for the resized pictures weakly for our network, and not for the DenseNet. And look at its weight: Var is about 20, so at $T = 100$ the term $\operatorname{Var}/2T$ takes 0.1 off a $U_1$ of 10. So why did the detector improve so much between $T = 1$ and $10$, where the expansion does not hold?
#
# ### The same score, read without Taylor
#
# Collect the rivals' part of (3) into one number, the **soft gap**
#
# $$m_T = -T \log\Big(\frac{1}{N-1} \sum_{i \ne \hat y} e^{-g_i/T}\Big), \qquad\text{so that}\qquad S_{\hat y}(x; T) = \frac{1}{1 + (N-1)\,e^{-m_T/T}} \qquad (9)$$
#
# No approximation: at each T, the score ranks images by $m_T$. And $m_T$ is a kind of average of the gaps:
#
# - for $T \to 0$ it is the **smallest gap**: the nearest rival decides;
# - for $T \to \infty$ it is the **mean gap**, $U_1$: all rivals have a vote;
# - in between it grows from the one to the other.


# %%
def soft_gap(logits, T):  # (B, N) -> (B,), in units of logits
    gaps = (logits.amax(dim=1, keepdim=True) - logits).sort(dim=1).values[:, 1:]  # the rivals'
    return -T * ((-gaps / T).logsumexp(dim=1) - math.log(gaps.shape[1]))


# %%
for T in (1, 10, 1000):
    m = soft_gap(known, T)
    agrees = torch.allclose(1 / (1 + 9 * (-m / T).exp()), anomaly.maximum_softmax(known, T))
    print(f"T = {T:4d}: the score is 1 / (1 + 9 exp(-m / T)): {agrees}")
nearest = known.topk(2).values.diff(dim=1).abs()[:, 0]
mean_gap, _ = anomaly.logit_gaps(known)
print("T -> 0:   the smallest gap:", torch.allclose(soft_gap(known, 1e-5), nearest, atol=1e-3))
print("T -> inf: the mean gap, U1:", torch.allclose(soft_gap(known, 1e6), mean_gap, atol=1e-3))

# %% [markdown]
# <details><summary>How does this agree with the paper's expansion?</summary>
#
# Expanding $m_T$ for large T gives $m_T = U_1 - \frac{\operatorname{Var}}{2T} + O(1/T^2)$. The paper's bracket is $U_1 - \frac{U_2}{2T} = U_1 - \frac{U_1^2}{2T} - \frac{\operatorname{Var}}{2T}$. Put $m_T$ for $u$ into $u - \frac{u^2}{2T}$, and you get that bracket, up to $O(1/T^2)$. This parabola rises as long as $u < T$, so to this order both rank the images alike. What can change the order is the variance: images of the same mean gap whose rivals differ more are ranked lower. Beyond $u = T$ the parabola turns down: that is the nonsense at $T = 1$ in section 5's table.
#
# Two classes: with one rival the smallest gap *is* the mean gap. $m_T = d$ at every T, section 4 in one line.
# </details>
#
# So temperature chooses **between the nearest rival and all rivals**. Here is the whole way. (Ranked by the soft gap: below $T = 0.5$ more and more probabilities round to 1, and the order would be lost.)

# %%
whole = [0.05 * 10 ** (step / 5) for step in range(23)]  # 0.05 to 1256
line = [100 * anomaly.fpr_at_tpr(soft_gap(known, T), soft_gap(unknown, T)) for T in whole]
ends = {
    "the smallest gap alone": 100
    * anomaly.fpr_at_tpr(soft_gap(known, 1e-5), soft_gap(unknown, 1e-5)),
    "the mean gap, U1": 100 * anomaly.fpr_at_tpr(mean_gap, anomaly.logit_gaps(unknown)[0]),
}
plots.show(
    temperature.curves_figure(
        whole,
        {"the soft gap at T": line},
        "From the nearest rival to all of them",
        "FPR at 95 % TPR, %",
        ends,
    ),
    alt="False positives over T from 0.05 to 1000: a level at the smallest gap's, a fall between 1 and 10, a level at that of U1.",
)

# %% [markdown]
# Which rival tells most? Sort each image's nine gaps, and compare inside with outside, rival by rival. **Predict:** is the nearest the best witness, or the worst?


# %%
def sorted_gaps(name, kind):  # -> (M, N - 1)
    logits = banks[name].sets[kind].logits.double()
    return (logits.amax(dim=1, keepdim=True) - logits).sort(dim=1).values[:, 1:]


shown = {"CIFAR-10": "cifar10-test", "TinyImageNet, crop": "tinyimagenet-crop"}
plots.show(
    temperature.gaps_figure(
        {title: sorted_gaps("DenseNet", kind) for title, kind in shown.items()}
    ),
    alt="Gaps from the nearest to the farthest rival: the CIFAR-10 line far above that of the crops, but at the nearest rival its band reaches down into that of the crops.",
)

# %%
print("FPR at 95 % TPR, in %, by one rival alone, from the nearest to the farthest (score banks)")
for name in banks:
    near, far = (sorted_gaps(name, kind) for kind in shown.values())
    row = [100 * anomaly.fpr_at_tpr(near[:, n], far[:, n]) for n in range(9)]
    print(f"{name:9s}", " ".join(f"{value:5.1f}" for value in row))

# %%
print("the 5 % of CIFAR-10 images whose nearest rival is nearest (score banks):")
for name, bank in banks.items():
    part, gap = bank.sets["cifar10-test"], sorted_gaps(name, "cifar10-test")[:, 0]
    edge = gap <= gap.quantile(0.05)
    right = part.logits[edge].argmax(dim=1) == part.labels[edge]
    print(f"{name:9s} {100 * right.double().mean():.0f} % of them get the right name")

# %% [markdown]
# The nearest rival is the worst witness. Look at the lower edge of the blue band: about half of these images are plain mistakes; the others are right, with a close second, as a true cat with a dog behind it. Both must pass if 95 % of inside must, and so the threshold lets all kinds of strange pictures in. The rivals further down tell more, and a large T listens to them, too.

# %% [markdown]
# ## 8. Where a large T does harm: noise
#
# All this rests on "inside, *all* rivals are far away; outside, they are not". Nothing guarantees that pictures unlike any photograph obey. **Predict** for images of pure noise: better or worse with large T?

# %%
print("FPR at 95 % TPR / AUROC, in %       T = 1            T = 3           T = 1000")
for name in banks:
    for kind in ("gaussian", "uniform", "tinyimagenet-crop"):
        cells = []
        for T in (1, 3, 1000):
            m = anomaly.measure(scores(name, "cifar10-test", T), scores(name, kind, T))
            cells.append(f"{100 * m['fpr95']:5.1f} / {100 * m['auroc']:4.1f}")
        print(f"{name:9s} {temperature.NAMES[kind]:21s} {'    '.join(cells)}   (score bank)")

# %%
three = shown | {"Gaussian noise": "gaussian"}
panels = {
    f"T = {T}": {title: scores("DenseNet", kind, T) for title, kind in three.items()}
    for T in (1, 1000)
}
plots.show(
    temperature.histograms_figure(panels),
    alt="Histograms of CIFAR-10, crops and Gaussian noise. At T = 1 noise is spread out; at T = 1000 it is a narrow hill, most of it right of the dashed line.",
)

# %% [markdown]
# For both networks a large T makes noise pass nearly always. AUROC takes it differently. The DenseNet's loses less than ten points: noise now clears the bar, but stays below most of CIFAR-10. Ours falls far below 50 % on Gaussian noise: the network puts it above most of CIFAR-10.
#
# Why? Ask the gaps. **Predict** what you will see at the left end, and on average.

# %%
sets = {title: sorted_gaps("DenseNet", kind) for title, kind in three.items()}
plots.show(
    temperature.gaps_figure(sets),
    alt="The sorted gaps with Gaussian noise: two rivals as near as for the crops, then a jump, to between the crops and CIFAR-10. Its band is narrow.",
)

# %%
print("score banks              U1   nearest gap   Var = U2 - U1^2   (medians)")
for name in banks:
    noise, inside = (sorted_gaps(name, kind) for kind in ("gaussian", "cifar10-test"))
    low, high = noise.mean(dim=1).quantile(torch.tensor([0.25, 0.75]).double())
    alike = inside[(inside.mean(dim=1) >= low) & (inside.mean(dim=1) <= high)]
    rows = {"Gaussian noise": noise, "CIFAR-10, same U1": alike, "CIFAR-10, all": inside}
    for title, gaps in rows.items():
        row = gaps.mean(1).median(), gaps[:, 0].median(), gaps.var(1, correction=0).median()
        print(f"{name:9s} {title:18s}" + "{:6.1f} {:10.1f} {:14.1f}".format(*row))

# %% [markdown]
# A network answers noise nearly always alike (a narrow band). In the DenseNet's answer two rivals stand close to the winner, and the rest is far below. In both networks the *nearest* gap of Gaussian noise is less than half of what CIFAR-10 images with the same $U_1$ have, and $T = 1$ listens to it. At the DenseNet that stops about half of it. At ours it stops almost nothing: even the nearest gap is large enough to pass.
#
# The *mean* gap nearly always clears the bar that 95 % of CIFAR-10 clear, and $T = 1000$ listens to that. In the paper's terms: at the same $U_1$ Gaussian noise has the **larger** Var, the reverse of section 7. The term that a large T takes away was on our side.
#
# So temperature is half of a method. Lesson 13's step on the picture is the other half, and noise is where it is needed most.

# %% [markdown]
# ## 9. Paper versus ours
#
# The paper's Table 2 has the baseline ($T = 1$) and full ODIN, which adds the step of lesson 13. Temperature alone stands between. FPR at 95 % TPR, in %, CIFAR-10 inside.

# %%
paper = {"tinyimagenet-crop": (34.7, 4.3), "tinyimagenet-resize": (40.8, 7.5)}
paper |= {"uniform": (23.5, 0.0), "gaussian": (12.3, 0.0)}
print("                        paper, DenseNet          bank, DenseNet     bank, ours")
print("                        T = 1   ODIN, with step  T = 1  T = 1000    T = 1  T = 1000")
for kind, (baseline, odin) in paper.items():
    ours = []
    for bank in banks.values():
        parts = (bank.sets[key].logits for key in ("cifar10-test", kind))
        ours += temperature.false_positives(*parts, (1, 1000))
    row = f"{baseline:5.1f} {odin:10.1f} {ours[0]:15.1f} {ours[1]:8.1f} {ours[2]:11.1f} {ours[3]:8.1f}"
    print(f"{temperature.NAMES[kind]:23s}", row)

# %% [markdown]
# Most of our baselines are worse than the paper's: these weights are another training of the same architecture, and our resized pictures went through a filter against aliasing (lesson 14 shows how much that alone changes). The claims to check are these:
#
# | the paper says | here |
# |---|---|
# | FPR falls as T grows | on photographs, for both networks; on noise it rises (for the DenseNet from T = 3 on) |
# | above about T = 100 it is flat | yes; most of the gain comes before 10 |
# | for $T \to \infty$ the detector is that of $U_1$ | yes: T = 1e6 and $U_1$ agree |
# | $U_1$ is larger inside | on photographs, clearly; our network's is larger on Gaussian noise |
# | at the same $U_1$, $U_2$ is larger inside | on crops yes; on resized pictures weakly for our network, not for the DenseNet; the reverse on Gaussian noise |

# %% [markdown]
# ## 10. What goes wrong in practice
#
# ### Half precision
#
# Networks are often run in 16 bits. At $T = 1000$ the DenseNet's scores for the crops and CIFAR-10 lie between 0.100 and 0.104. **Predict:** how many different numbers are there in that range in bfloat16, which has 8 significant bits?

# %%
print("scores stored as   different scores    FPR at 95 % TPR    AUROC   (bank, DenseNet)")
for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
    s = [anomaly.maximum_softmax(part, 1000).to(dtype).double() for part in (known, unknown)]
    m = anomaly.measure(*s)
    kind, different = str(dtype).removeprefix("torch."), len(torch.cat(s).unique())
    print(f"{kind:18s} {different:16,d} {100 * m['fpr95']:16.1f} {100 * m['auroc']:10.1f}")

# %% [markdown]
# Near 0.1 bfloat16 has steps of $2^{-11}$, about 0.0005: room for about eight numbers. The order is lost in ties, even where the score was computed exactly and only stored in 16 bits. The network may run in 16 bits; the *score* may not. `anomaly.temperature_softmax` casts the logits to float64 first. The mirror image happens at small T, where scores round to 1. Then even the two-class theorem fails, since it speaks of numbers and not of floats:

# %%
for T in (1, 0.01):
    pets, bears, _ = (anomaly.maximum_softmax(part, T) for part in drawn.values())
    ones, fpr = (pets == 1).double().mean(), anomaly.fpr_at_tpr(pets, bears)
    print(f"two classes, T = {T}: {100 * ones:.0f} % of inside score exactly 1,", end=" ")
    print(f"FPR of bears {100 * fpr:.1f} %")

# %% [markdown]
# ### Two digits
#
# Printing such scores with two digits, or drawing them on an axis from 0 to 1, shows nothing. People conclude that the temperature broke the detector.

# %%
for T in (1, 1000):
    a, b = (anomaly.maximum_softmax(part, T).median() for part in (known, unknown))
    print(f"T = {T:4d}: median inside {a:.2f}, outside {b:.2f}   or: {a:.5f}, {b:.5f}")

# %% [markdown]
# ### Probabilities instead of logits
#
# Some models end in a softmax already. Divide *its* output by T and take the softmax again, and the room that the logits had is gone. **Predict** the FPR: near that of $T = 1000$, or near that of $T = 1$?

# %%
probabilities = [anomaly.temperature_softmax(part) for part in (known, unknown)]
(twice,) = temperature.false_positives(*probabilities, [1000])
print(f"softmax of probabilities, T = 1000: FPR {twice:.1f} %   (bank, DenseNet)")
for T, once in zip((1, 1000), temperature.false_positives(known, unknown, (1, 1000)), strict=True):
    print(f"softmax of logits,        T = {T:4d}: FPR {once:.1f} %")

# %% [markdown]
# As if there were no temperature. Section 6 says why: probabilities add up to 1 for every image, so their $U_1$ ranks as the largest of them does.
#
# ### The other temperature
#
# *Calibration* (Guo et al., ICML 2017) also divides by a T: the one at which probabilities are honest, so that of all answers with 80 % sureness 80 % are right. It is found by the least cross-entropy on images *with labels*. That is another aim, and another number.

# %%
tuning = banks["DenseNet"].sets["tuning-inside"]
candidates = [0.5 + 0.05 * step for step in range(71)]
losses = [F.cross_entropy(tuning.logits.double() / T, tuning.labels).item() for T in candidates]
best = candidates[losses.index(min(losses))]
row = temperature.false_positives(known, unknown, [1, best, 1000])
print(f"T of least cross-entropy on {len(tuning.labels)} images: {best:.2f}   (bank, DenseNet)")
print(f"FPR at T = 1: {row[0]:.1f} %, at that T: {row[1]:.1f} %, at T = 1000: {row[2]:.1f} %")

# %% [markdown]
# An honest probability is one thing, a score that parts known from unknown another. At $T = 1000$ "the network is 10.2 % sure" is no statement about anything.
#
# ### See it live
#
# With CIFAR-10 and TinyImageNet at hand, the first 200 images of each, through our network. The bank's rows of the same images must give the same. (Both differ from the table by several percent: of 200 images the ten least sure set the threshold, so FPR at 95 % TPR needs thousands.)

# %% tags=["marked"]
# With the images at hand (or a download): set to True and run.
measure_live = False
if measure_live:
    two_sets = ("cifar10-test", "tinyimagenet-crop")
    fresh = [anomaly.classify(model, datasets.image_set(kind, 200).images) for kind in two_sets]
    stored = [banks["ours"].sets[kind].logits[:200] for kind in two_sets]
    for title, parts in (("live", fresh), ("bank", stored)):
        row = temperature.false_positives(*parts, (1, 10, 1000))
        print(f"{title}: FPR at 95 % TPR, in %, at T = 1, 10, 1000:", *(f"{v:.1f}" for v in row))

# %% [markdown]
# ## In three lines
#
# - Temperature changes no answer, only how images compare: from "how near is the nearest rival" to "how far are all of them".
# - With two classes there is one rival, and no temperature changes any ranking, so no ROC, AUROC or FPR at 95 % TPR; with more, a large T ranks by $U_1$, the mean gap.
# - It helps on photographs, does harm on noise, needs logits and float64, and is not the temperature of calibration.
#
# **Next:** [13 · A step on the picture](13_input_perturbation.ipynb) takes ODIN's second half: a small step that moves known pictures more than unknown ones.
#
# **Reading.** Liang, Li, Srikant, *Enhancing The Reliability of Out-of-distribution Image Detection in Neural Networks* ([ICLR 2018](https://arxiv.org/abs/1706.02690)). Hinton, Vinyals, Dean, *Distilling the Knowledge in a Neural Network* ([2015](https://arxiv.org/abs/1503.02531)), where temperature was used to show what a network knows about the classes that did not win. Guo et al., *On Calibration of Modern Neural Networks* ([ICML 2017](https://arxiv.org/abs/1706.04599)). Hendrycks et al., *Scaling Out-of-Distribution Detection for Real-World Settings* ([ICML 2022](https://arxiv.org/abs/1911.11132)), for the largest logit.
