# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 11 · The overconfident softmax
#
# A network that knows cats and dogs is shown a cup of coffee. It does not shrug. It names an animal, and is sure. You find out why it cannot help it, and build the alarm that every later lesson has to beat.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/cnns-for-other-image-tasks/blob/main/notebooks/11_overconfident_softmax.ipynb)
#
# **Budget:** 45 s on a CPU core (GPU: not measured) · 1.4 GB of memory · nothing to download
#
# **You will be able to**
#
# - say what a softmax's 99 % means, and what it does not mean;
# - show why a ReLU network's confidence goes to 1 far away from all that it has seen;
# - build a detector of odd pictures from any classifier, with its threshold, ROC curve and AUROC, by hand;
# - turn "FPR at 95 % TPR" into false alarms and misses a day.
#
# **Lecture and paper.** The opening of the lecture's part on anomaly detection: odd one out, and the flawed softmax. Hendrycks and Gimpel, *A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks* (ICLR 2017), sections 1 to 3; the baseline columns of table 2 of the ODIN paper (Liang, Li, Srikant, ICLR 2018).

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

from lessons_utils import anomaly, checkpoints, datasets, plots, recipes
from lessons_utils.explorers import threshold
from lessons_utils.scenes import zoo

# %% [markdown]
# ## 1. Odd one out
#
# Four pictures. Which one does not belong? You have one second. (The pictures are drawings: the course has a small zoo of them, so that there is nothing to download.)

# %%
FIRST = 2_000_000  # the seeds of the zoo's test part begin here: no network has seen these
four = [("cat", 3), ("dog", 5), ("cup", 1), ("cat", 8)]
big = {
    letter: zoo.draw(kind, FIRST + number, size=192) / 255
    for letter, (kind, number) in zip("ABCD", four, strict=True)
}

# %%
alt = "Four drawings: A a cat's face, B a dog's face, C a coffee cup, D another cat's face."
plots.show(plots.picture_row(big, width=10), alt=alt)

# %% [markdown]
# C. (B, the only one without a tie? Well spotted, but you know what was meant.) You had no list of "things that are not animals" in mind, and nobody trained you on this game. You noticed: **this is not like the others.**
#
# A classifier never plays this game. It plays another one: "cat or dog?", over and over. Let us train one, and then show it C.
#
# **Predict.** What will it answer, and how sure will it be: about 50 %, since a cup is neither? Or less? Or more?

# %% [markdown]
# ## 2. The network joins the game
#
# A thousand drawings of cats and dogs, a small convolutional network (`anomaly.CompactNet`: seven convolutions, ReLU, normalisation inside, two outputs), a hundred steps. It takes a few seconds.

# %%
images, labels = zoo.images(("cat", "dog"), "train", 1_000)  # (1000, 3, 32, 32) uint8; 0 cat, 1 dog
network = anomaly.CompactNet(classes=2, widths=(16, 32, 64))
network.whiten(images)
optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)

# %%
for _ in range(100):
    chosen = torch.randint(len(images), (50,))
    logits = network(images[chosen] / 255)  # (50, 3, 32, 32) -> (50, 2)
    loss = F.cross_entropy(logits, labels[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
network.eval()
new, truth = zoo.images(("cat", "dog"), "test", 200)
named = anomaly.classify(network, new).argmax(dim=1)
right = (named == truth).sum().item()
print("live: right on more than 190 of 200 new cats and dogs:", right > 190)

# %% [markdown]
# A good classifier. Now the interview. It sees 32 × 32 pixels, as shown.

# %%
guests = {
    kind: zoo.images((kind,), "test", 1)[0][0] / 255
    for kind in ("cat", "dog", "cup", "tree", "house", "rabbit", "bear")
}
guests["noise"] = datasets.noise_images("uniform", 1)[0] / 255
crowd = torch.stack(list(guests.values()))  # (8, 3, 32, 32)

# %% tags=["nbval-ignore-output"]
answers = anomaly.classify(network, crowd).softmax(dim=1)  # (8, 2)
figure = threshold.interview(guests, answers, ("cat", "dog"))
alt = "Live network: a cat, a dog, then a cup, a tree, a house, a rabbit, a bear and noise, each with the probabilities of cat and dog; most answers are near 100 %."
plots.show(figure, alt=alt)

# %%
strangers, _ = zoo.images(zoo.THINGS, "test", 160)  # cars, houses, trees, fish, cups ...
sure = anomaly.classify(network, strangers).softmax(dim=1).amax(dim=1) > 0.9
print("live: more than 90 % sure of at least a fifth of all things:", sure.sum().item() >= 32)

# %% [markdown]
# Your network's numbers are your own: another seed, other certainties. Train it again (from the cell that makes `network`): the noise may well change from "dog, 100 %" to "cat, 100 %". **It is sure, and sure of something else each time.**
#
# So that we all speak of the same numbers, here is one that was trained before. A hundred drawings of each kind:

# %%
name = "zoo-cats-dogs"
zoo_network, card = checkpoints.load(name, recipes.network(name))
print(f"shipped weights; accuracy by their card: {100 * card.metrics['test']['accuracy']:.0f} %")
print("trained by:", card.command)

# %%
print("100 of each      answers mostly   more than 90 % sure")
for kind in ("cat", "dog", "rabbit", "bear", "cup", "car", "tree"):
    pictures, _ = zoo.images((kind,), "test", 100)
    shares = anomaly.classify(zoo_network, pictures).softmax(dim=1)
    says = ("cat", "dog")[int(shares.argmax(dim=1).mode().values)]
    print(f"{kind:15}  {says:15}  {100 * (shares.amax(dim=1) > 0.9).float().mean():3.0f} %")

# %% [markdown]
# Not of everything: animals that it never met fool it most, a tree seldom. But nothing gets a low number for *both*.
#
# ### The same with photographs
#
# "Those are cartoons." Fair. The next network learnt from real photographs: the cats and dogs of CIFAR-10. We show it a real cat, a real cup of coffee, a rocket, an astronaut, all from scikit-image and shrunk to its 32 × 32 pixels, and noise.

# %%
photographs = {}
for name in ("cat", "coffee", "rocket", "astronaut"):
    photograph = datasets.photograph(name)  # (1, 3, H, W) in [0, 1]
    side = min(photograph.shape[-2:])
    left = (photograph.shape[-1] - side) // 2
    square = photograph[..., :side, left : left + side]
    photographs[name] = F.interpolate(square, size=(32, 32), mode="area")[0]
photographs["noise"] = guests["noise"]

# %%
name = "cats-dogs"
photo_network, card = checkpoints.load(name, recipes.network(name))
print(f"shipped weights; accuracy by their card: {100 * card.metrics['test']['accuracy']:.0f} %")
answers = anomaly.classify(photo_network, torch.stack(list(photographs.values()))).softmax(dim=1)

# %%
figure = threshold.interview(photographs, answers, ("cat", "dog"))
alt = "The network of photographs on a cat, a cup of coffee, a rocket, an astronaut and noise: each is a cat or a dog."
plots.show(figure, alt=alt)

# %% [markdown]
# The rocket is an animal. There is nothing else that it could be. In a demonstration this is funny. In a hospital, where the two classes are "healthy" and "fracture" and somebody uploads the wrong organ, it is not.

# %% [markdown]
# ## 3. Why it must be sure
#
# The network's last layer gives one number a class, the **logit** $z_k$. The softmax turns them into numbers that look like probabilities:
#
# $$p_k = \frac{e^{z_k}}{\sum_{j=1}^{N} e^{z_j}} \tag{1}$$
#
# $p_k$ is the share of class $k$, and $N$ the number of classes.
#
# **Predict.** Three pictures, logits of (cat, dog): (1, 4), (101, 104), (−104, −101). The first has little evidence for both, the second very much, the third very much *against* both. For which is the network surest of the dog?

# %%
for z in ((1.0, 4.0), (101.0, 104.0), (-104.0, -101.0)):
    p = torch.tensor(z).softmax(dim=0)
    print(f"logits {z}: cat {p[0]:.4f}, dog {p[1]:.4f}")

# %% [markdown]
# All the same. Add a constant $c$ to every logit, and $e^{c}$ cancels in (1). **The softmax compares; it never weighs.** For two classes, divide above and below by $e^{z_\text{dog}}$, and only the difference is left:
#
# $$p_\text{dog} = \frac{1}{1 + e^{-(z_\text{dog} - z_\text{cat})}} \tag{2}$$

# %%
z = anomaly.classify(zoo_network, crowd)  # (8, 2), float64
p_dog = 1 / (1 + torch.exp(-(z[:, 1] - z[:, 0])))
print("formula (2) equals the softmax:", torch.allclose(p_dog, z.softmax(dim=1)[:, 1]))
sums = z.softmax(dim=1).sum(dim=1)
print("every row sums to one:         ", torch.allclose(sums, torch.ones_like(sums)))

# %% [markdown]
# Think of a trial with two suspects. The judge knows that *one of them* did it, and asks how the evidence compares. "Dog, 95 %" is a good answer to that. But the cup's question is another: *was it one of these two at all?* Nobody asks. The numbers must sum to 1, and no line of the form says **none of these**.
#
# So read the network's output in full: $p_\text{dog}$ is at best an estimate of $P(\text{dog} \mid \text{picture},\ \textbf{and it is a cat or a dog})$. What stands behind the bar was true for every training picture. For a cup it is false, and everything else follows.
#
# **Question.** Why not add a third class, "none of these"?
#
# <details><summary>Answer</summary>
#
# You would have to show examples of it, and "none of these" is everything else there is: cups, rockets, X-rays upside down, sensors that fail in ways nobody has thought of. Trained on cups and trees, a third class learns cups and trees; a rocket is then the odd one again. A *large, mixed* collection of outliers does carry over to kinds that are not in it, when the network is trained to be unsure of all of them (outlier exposure, Hendrycks et al., ICLR 2019). It takes such a collection, and another training. This part of the course asks what can be done *without* examples, with a network that is already trained.
# </details>

# %% [markdown]
# ## 4. The further away, the surer
#
# A softmax *must* choose, but must it be *sure*? It could still say 51 %. To see why it does not, make the world so small that you can look at all of it: each animal is two numbers, its weight and the length of its ears. (The animals are invented: 100 cats, 100 dogs.) The network is a small one, trained here.

# %%
generator = torch.Generator().manual_seed(0)
draws = torch.randn(2, 100, 2, generator=generator).double()
cats = torch.tensor([4.0, 6.5]) + draws[0]  # (100, 2): kilograms, centimetres
dogs = torch.tensor([18.0, 12.0]) + draws[1] * torch.tensor([5.0, 2.5])
animals, kinds = torch.cat([cats, dogs]), torch.arange(200) // 100
mean, deviation = animals.mean(dim=0), animals.std(dim=0)

# %%
torch.manual_seed(0)
layers = [nn.Linear(2, 50), nn.ReLU(), nn.Linear(50, 50), nn.ReLU(), nn.Linear(50, 2)]
tiny = nn.Sequential(*layers).double()
optimizer = torch.optim.Adam(tiny.parameters(), lr=1e-2)

# %%
for _ in range(150):
    loss = F.cross_entropy(tiny((animals - mean) / deviation), kinds)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


# %%
@torch.no_grad()
def dog_share(points):
    """(..., 2), kilograms and centimetres -> (...): the probability of a dog."""
    return tiny((points - mean) / deviation).softmax(dim=-1)[..., 1]


# %% [markdown]
# **Predict.** An elephant has 5,000 kg and ears of 120 cm. A city bus has 12,000 kg and ears of 0 cm. A teapot has 0.6 kg and no ears, either. Who is what, and how sure?

# %%
creatures = {
    "elephant": (5_000.0, 120.0),
    "horse": (500.0, 18.0),
    "city bus": (12_000.0, 0.0),
    "teapot": (0.6, 0.0),
}

# %%
print("live, but the same for everybody:")
for name, numbers in creatures.items():
    share = dog_share(torch.tensor(numbers).double()).item()
    says = "dog" if share > 0.5 else "cat"
    print(f"{name:8} is a {says}, to {100 * max(share, 1 - share):.1f} %")


# %%
def map_of(right, up):
    x, y = torch.linspace(0, right, 240).double(), torch.linspace(0, up, 240).double()
    return dog_share(torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1))  # (240, 240)


# %%
spans = {"where the animals are": (35, 20), "170 times as wide: all dog": (6_000, 160)}
maps = {title: map_of(*span) for title, span in spans.items()}
clouds, axes = {"cat": cats, "dog": dogs}, ("weight, kg", "ears, cm")
figure = threshold.two_maps(maps, list(spans.values()), clouds, axes, creatures)
alt = "Left, cats and dogs and a narrow pale border between them; right, the far view: all of it is dog, with a horse and an elephant on it, and the training animals a dot in the corner."
plots.show(figure, alt=alt)

# %% [markdown]
# The network is unsure on one thread, the **border between** cat and dog. Everywhere else it is sure, where it has seen animals and where it has not. All its training animals are a dot in the lower left corner of the right map; the rest is dog by extrapolation. (The bus stands off the map, further right.)
#
# **Confidence measures how far you are from the border (in logits), not how near you are to the data.** 50 % means "between the two". For "neither" there is no number.

# %% [markdown]
# ### Why, in four lines
#
# 1. A network of convolutions, ReLU, maximum pooling and (in use) batch normalisation is *piecewise linear*: as long as no ReLU switches, it is a straight function of the picture.
# 2. Walk away from a point $g$ along a straight line, $x(t) = g + t\,d$. The ReLUs and maxima have finitely many on-off patterns. The points of one pattern form a convex set, and a line enters and leaves such a set at most once. So **from some $t$ on nothing switches any more.**
# 3. From there on every logit is a straight line in $t$, with a slope $a_k$ and an offset $b_k$: $\quad z_k(t) = a_k\,t + b_k \quad (3)$
# 4. Call the steepest class 1. Its lead over every other, $(a_1 - a_k)\,t + \dots$, grows without end. By (1), its share goes to 1.
#
# The exception is a tie for the steepest, for instance when all ReLUs of a layer fall silent. This is theorem 3.1 of Hein, Andriushchenko, Bitterwolf (CVPR 2019), which says "almost always" for that reason.
#
# **Try it on a real one:** the coffee again, and the course's network for the ten classes of CIFAR-10, none of which is coffee. $g$ is plain grey, $d$ = coffee − grey, so $t$ is the **contrast**: 0 is grey, 1 the photograph.

# %%
name = "cifar10-compact"
ten, card = checkpoints.load(name, recipes.network(name))
coffee = photographs["coffee"]
stretch = {f"t = {t:g}": 0.5 + t * (coffee - 0.5) for t in (0.0, 0.5, 1.0, 3.0, 20.0)}
alt = "The cup of coffee at five contrasts: plain grey, pale, as photographed, harsh, and pure black and white and primary colours."
plots.show(plots.picture_row(stretch, width=10), alt=alt)

# %% [markdown]
# **Predict.** At which of these contrasts is the network surest? (Values beyond 0 and 1 are cut off for the screen. The network gets them as they are.)

# %%
t = torch.linspace(0, 20, 81)
line = 0.5 + t.view(-1, 1, 1, 1) * (coffee - 0.5)  # (81, 3, 32, 32)
logits = anomaly.classify(ten, line)  # (81, 10)
figure = threshold.along_a_line(t, logits, anomaly.CIFAR10_CLASSES)
alt = "Ten logits against contrast become straight lines that fan out; the confidence moves near the photograph and then stays at 1."
plots.show(figure, alt=alt)

# %% [markdown]
# Not near the photograph: there the lines bend and cross, and where the lead changes, the confidence dips. Then each goes straight, one leads, and nothing catches up with it: the network is never surer than where there is no coffee left to see. And further out?

# %%
far = torch.tensor([500.0, 510.0, 990.0, 1_000.0])
z = anomaly.classify(ten, 0.5 + far.view(-1, 1, 1, 1) * (coffee - 0.5))
slopes = [(z[1] - z[0]) / 10, (z[3] - z[2]) / 10]
same = torch.allclose(*slopes, rtol=0.01, atol=0.01)
print("shipped weights; the ten slopes at t = 500 and at t = 1000 within 1 %:", same)
print(f"surest of all at t = 1000: {z[3].softmax(dim=0).max():.6f}")

# %% [markdown]
# ### A picture of a ship
#
# You need not leave the range of pictures, either. Start from noise and climb: ask for the gradient of $\log p_k$ with respect to the *pixels*, and move each of them by one grey level of 255 in its direction. Forty times, for each of the ten classes, from the same noise. (Lesson 13 lives on this gradient.)

# %%
noise = datasets.noise_images("gaussian", 1) / 255  # (1, 3, 32, 32)
liked = noise.repeat(10, 1, 1, 1)
wanted = torch.arange(10)

# %%
for _ in range(40):
    liked.requires_grad_()
    log_p = ten(liked).log_softmax(dim=1)[wanted, wanted]
    (gradient,) = torch.autograd.grad(log_p.sum(), liked)
    liked = (liked + 1 / 255 * gradient.sign()).clamp(0, 1).detach()

# %%
confidence = anomaly.classify(ten, liked).softmax(dim=1)[wanted, wanted]
gallery = {
    f"{name} {100 * p:.1f} %": picture
    for name, p, picture in zip(anomaly.CIFAR10_CLASSES, confidence, liked, strict=True)
}

# %%
figure = plots.picture_row(gallery, columns=5, width=11)
alt = "Ten squares of coloured noise that look alike, titled airplane to truck, most with nearly 100 %."
plots.show(figure, alt=alt)

# %%
print("live, on shipped weights; above 90 %:", (confidence > 0.9).sum().item(), "of 10")
print(f"no value moved by more than {255 * (liked - noise).abs().max():.0f} of 255 levels")

# %% [markdown]
# A gallery of the ten classes, as the network likes them. Nguyen, Yosinski and Clune (CVPR 2015) made such pictures for networks of ImageNet, most of them by evolution, without a gradient: static that is a lion, with certainty.
#
# So a high score proves nothing. Is it worthless, then?

# %% [markdown]
# ## 5. The first alarm
#
# No: nobody *climbs* in daily life. The pictures that come in are odd by accident. Hendrycks and Gimpel asked: is the network perhaps sure of those, too, but **a little less sure**? Take the largest probability as the score,
#
# $$s(x) = \max_k\, p_k(x) \tag{4}$$
#
# and let $x$ through if $s(x) \ge \delta$, for a threshold $\delta$; otherwise ring the bell. No training, no example of anything odd, one line of code. It is called **the baseline**, also MSP, *maximum softmax probability*.
#
# We need many pictures now. A **score bank** holds the logits of thousands that the course may not ship, computed once. *Known*: test images of CIFAR-10. *Odd*: 32 × 32 crops from photographs of TinyImageNet, of 200 classes, most of them other ones. (Some, like Egyptian cat and golden retriever, are CIFAR-10's own. The paper leaves them in, and so do we.)

# %% tags=["explorer"]
bank = anomaly.load_bank("cifar10-compact")


def baseline(name):
    return anomaly.maximum_softmax(bank.sets[name].logits)  # (N, 10) -> (N,)


# %% tags=["explorer"]
known, odd = baseline("cifar10-test"), baseline("tinyimagenet-crop")

# %%
by_hand = bank.sets["cifar10-test"].logits.double().softmax(dim=1).amax(dim=1)
same = torch.allclose(by_hand, known)
print("the finished form `anomaly.maximum_softmax` equals formula (4):", same)

# %%
print("score bank cifar10-compact:")
for name, scores in (("known", known), ("odd", odd)):
    share = 100 * (scores > 0.9).double().mean()
    print(f"{name:5}  {len(scores)} pictures, more than 90 % sure of {share:.1f} %")

# %% [markdown]
# **Predict.** What do the two histograms look like? Can a threshold part them?

# %%
figure = threshold.two_histograms(known, odd, ("known: CIFAR-10", "odd: TinyImageNet crops"))
alt = "Two histograms twice. Left, from 0 to 1: the known ones pile up at 1, the odd ones spread from 0.25 to 1. Right, by the number of nines: the known ones lie further right, with a wide overlap."
plots.show(figure, alt=alt)

# %% [markdown]
# On the left most known pictures crowd into the last bar, which hides how they differ. On the right the same scores by the **number of nines**, $-\log_{10}(1 - s)$: 0.9 has one, 0.99 has two. (The last bar holds all that have more than six.) The odd ones crowd on the left, the known ones reach far to the right, and the two overlap. Hendrycks and Gimpel were right: *less* sure, on average. But there is no clean cut.

# %% [markdown]
# ## 6. A threshold has two errors
#
# As in the paper, **known is positive**. With "$s \ge \delta$ is let through":
#
# $$\text{TPR} = \frac{\text{known ones let through}}{\text{all known ones}} \qquad\qquad \text{FPR} = \frac{\text{odd ones let through}}{\text{all odd ones}} \tag{5}$$
#
# A **false alarm** is a known picture stopped: $1 - \text{TPR}$ of them. A **miss** is an odd picture let through: FPR of them. (Half of the literature calls odd positive. Section 10 shows what that does to you.)
#
# **Do it in your head.** Four known pictures and four odd ones; the threshold is 0.9. TPR? FPR?

# %%
few_known = torch.tensor([0.99, 0.95, 0.91, 0.80])
few_odd = torch.tensor([0.97, 0.85, 0.70, 0.60])
tpr, fpr = (few_known >= 0.9).float().mean(), (few_odd >= 0.9).float().mean()
print(f"TPR {tpr:.2f}, FPR {fpr:.2f}")

# %% [markdown]
# Every score that occurs can be the threshold. Lower it from 1 to 0: both rates climb from 0 to 1, and draw the **ROC curve**, TPR upwards over FPR to the right. The sooner TPR climbs, the better; a coin gives the diagonal.


# %%
def roc(known, odd):
    """Two sets of scores -> TPR and FPR at each threshold, the largest first."""
    each = torch.cat([known, odd]).unique().flip(0)[:, None]  # (K, 1)
    tpr = (known >= each).double().mean(dim=1)  # (K, N) -> (K,)
    fpr = (odd >= each).double().mean(dim=1)
    start = torch.zeros(1).double()  # a threshold above all scores lets nothing through
    return torch.cat([start, tpr]), torch.cat([start, fpr])


# %%
tpr, fpr = roc(few_known, few_odd)
print("TPR", [round(rate, 2) for rate in tpr.tolist()])
print("FPR", [round(rate, 2) for rate in fpr.tolist()])

# %% [markdown]
# The area under this curve is the **AUROC**, and it has a meaning that needs no curve at all: *the chance that a known picture, drawn at random, scores higher than an odd one.* Here are $4 \times 4 = 16$ pairs. **Count** those that the known one wins.

# %%
area = torch.trapezoid(tpr, fpr)
wins = (few_known[:, None] > few_odd).double() + 0.5 * (few_known[:, None] == few_odd)  # (4, 4)
print(f"area under the curve: {area:.4f}")
print(f"pairs won: {wins.sum():.0f} of 16, {wins.mean():.4f} (a tie would count half)")
print(f"anomaly.auroc: {anomaly.auroc(few_known, few_odd):.4f}")

# %% [markdown]
# AUROC speaks of *all* thresholds. Whoever installs a detector picks **one**, and most often like this: "at most 5 % false alarms". So choose the largest $\delta$ with a TPR of at least 95 %, and report what slips through there: **FPR at 95 % TPR**, in short FPR95. Now with thousands of pictures:

# %%
delta = known.sort(descending=True).values[math.ceil(0.95 * len(known)) - 1]
fpr95 = (odd >= delta).double().mean()
print(f"score bank cifar10-compact: threshold {delta:.4f}, FPR95 {100 * fpr95:.1f} %")

# %%
finished = anomaly.threshold_at_tpr(known), 100 * anomaly.fpr_at_tpr(known, odd)
print("anomaly.threshold_at_tpr {:.4f}, anomaly.fpr_at_tpr {:.1f} %".format(*finished))
print(f"AUROC {anomaly.auroc(known, odd):.3f}")

# %% tags=["explorer"]
SETS = {
    "tinyimagenet-crop": "TinyImageNet crops",
    "tinyimagenet-resize": "TinyImageNet resized",
    "cifar100": "CIFAR-100",
    "mnist": "MNIST digits",
    "gaussian": "Gaussian noise",
    "uniform": "uniform noise",
}

# %%
curves = {}
for name in ("tinyimagenet-crop", "cifar100", "mnist", "gaussian"):
    _, tpr, fpr = anomaly.roc_curve(known, baseline(name))  # as `roc`, for thousands
    curves[SETS[name]] = (tpr, fpr)

# %%
alt = "ROC curves of four odd sets, each with a point where TPR reaches 0.95; the points lie at an FPR of 0.4 or more."
plots.show(threshold.roc_figure(curves), alt=alt)

# %% [markdown]
# An AUROC of 0.9 sounds like "90 %, a good mark". Look at the points: at the threshold that one would install, a large share of the odd pictures walks through. The two numbers are not rivals; they answer different questions.

# %% [markdown]
# ## 7. Ten thousand pictures a day
#
# A camera at a zoo's gate takes 10,000 pictures a day, and 100 of them show something that nobody trained for. Set the threshold at 95 % TPR.
#
# **Predict.** The bell rings. How likely is it that something odd is there?

# %%
tpr95, fpr95 = 0.95, anomaly.fpr_at_tpr(known, odd)
false_alarms = (1 - tpr95) * 9_900
caught, missed = (1 - fpr95) * 100, fpr95 * 100
print(f"false alarms {false_alarms:.0f}   odd ones caught {caught:.0f}, missed {missed:.0f}")
print(f"an alarm is real in {100 * caught / (caught + false_alarms):.0f} % of the cases")

# %% [markdown]
# About nine of ten alarms are false. Even one that catches every odd picture is, at this threshold, wrong five times out of six: 5 % of 9,900 are 495 false alarms, and there are only 100 odd ones to catch. Nothing is wrong with the arithmetic; **odd things are rare**, and that is what makes them odd. After a week nobody listens to the bell.
#
# What helps? A stricter TPR (99.5 %: only 50 false alarms, but more misses), a second look by a person, and above all a better score. That is the rest of this part.

# %% [markdown]
# ## 8. Try to break it
#
# The line is the threshold, in nines. In the picture on the right each square is one of a hundred alarms; orange ones are real.
#
# **Question.** (a) 100 odd pictures a day, of TinyImageNet: is there a threshold at which half of the alarms are real? (b) Back to the threshold of the start, now with 1,000 odd ones a day. What has changed, and what has not? (c) Go through the sets. Which odd pictures would you not have expected to be so hard?

# %% tags=["explorer"]
threshold.move_the_threshold(known, {title: baseline(name) for name, title in SETS.items()})

# %% [markdown]
# <details><summary>Answer</summary>
#
# (a) Only an absurd one, far down, where the network is least sure: there it stops two or so of the 100 odd pictures. A step or two to the right the share is below a third. (b) Now about half of the alarms are real. TPR, FPR and AUROC have not moved: it is the same detector. What an alarm is worth depends on how rare odd things are, and no detector changes how rare. This is why papers report TPR and FPR, and why you have to do the rest of the sum for your own gate. (c) CIFAR-100 is hard as expected: other classes, but the same kind of photographs. The surprise is **noise**. To your eye nothing is less like an animal or a ship, and yet a network may be as sure of it as of the pictures that it knows. Not every network: the table of section 9 has two, and the paper's.
# </details>

# %% [markdown]
# ## 9. Paper versus ours
#
# Table 2 of the ODIN paper has the baseline beside its own method. It was measured with a DenseNet; here are the same architecture (trained by others), and the course's compact network.

# %%
# Typed in: table 2 of Liang et al. (2018), DenseNet-BC on CIFAR-10, baseline: FPR95 and AUROC in %.
paper = {
    "tinyimagenet-crop": (34.7, 95.3),
    "tinyimagenet-resize": (40.8, 94.1),
    "uniform": (23.5, 96.5),
    "gaussian": (12.3, 97.5),
}

# %%
banks = [anomaly.load_bank(name) for name in ("densenet-cifar10", "cifar10-compact")]
for each in banks:
    print(f"accuracy of {each.card.name}: {100 * each.card.accuracy:.1f} % (paper 95.2 %)")


# %%
def measured(bank, name):
    inside, outside = (bank.sets[part].logits for part in ("cifar10-test", name))
    scores = anomaly.maximum_softmax(inside), anomaly.maximum_softmax(outside)
    return f"{100 * anomaly.fpr_at_tpr(*scores):5.1f} / {100 * anomaly.auroc(*scores):4.1f}"


# %%
print("FPR95 / AUROC, %            paper    DenseNet (bank)  compact (bank)")
for name, (fpr95, auroc) in paper.items():
    columns = [f"{fpr95:5.1f} / {auroc:4.1f}", *(measured(each, name) for each in banks)]
    print(f"{SETS[name]:21} " + "     ".join(columns))

# %% tags=["marked"]
# With CIFAR-10 and TinyImageNet at hand (or a download): set to True and run.
measure_live = False
if measure_live:
    parts = ("cifar10-test", "tinyimagenet-crop")
    sets = (datasets.image_set(part, 1_000).images for part in parts)
    scores = [anomaly.baseline_scores(ten, images) for images in sets]
    print(f"live, compact, 1,000 of each: FPR95 {100 * anomaly.fpr_at_tpr(*scores):.1f} %")

# %% [markdown]
# Why not the same? **Another training**: same architecture, other weights, and a baseline is a property of the weights; on noise two trainings can differ by any amount. **Another resize**: the paper's resized pictures were made by dropping pixels, ours by averaging them; lesson 14 shows that this alone changes the numbers much. **Fewer pictures**: 2,000 TinyImageNet images here (500 of noise) against 10,000; one standard error is about one point (two for noise).

# %% [markdown]
# ## 10. What goes wrong in practice
#
# **The forgotten division.** A network that was trained on [0, 1] is fed 0 to 255. No error, no warning. **Predict** accuracy and confidence. (Think of section 4: what is $t$ here?)

# %%
name = "zoo-animals"  # cat, dog, rabbit, mouse, owl; shipped weights
five, _ = checkpoints.load(name, recipes.network(name))
pictures, truth = zoo.images(zoo.ANIMALS, "test", 100)

# %%
for title, fed in (("in [0, 1]", pictures / 255), ("0 to 255", pictures.float())):
    shares = anomaly.classify(five, fed).softmax(dim=1)
    right = (shares.argmax(dim=1) == truth).float().mean()
    sure = shares.amax(dim=1).mean()
    print(f"{title:9}  accuracy {100 * right:3.0f} %   mean confidence {100 * sure:.1f} %")

# %% [markdown]
# A contrast of $t = 255$, away from black instead of grey: worse at its task, and as sure as ever. A detector on this score would not ring. **When a deployed network turns suddenly sure of everything, check the units of its input.**
#
# **A threshold from training pictures.** It is tempting: there are so many. But a network is surer of what it was trained on. Here with real photographs, eight kinds of clothes from Fashion-MNIST:

# %%
name = "fashion-eight"  # shipped weights
clothes, _ = checkpoints.load(name, recipes.network(name))
parts = [datasets.fashion_mnist("train").images[:2_500], datasets.fashion_mnist("test").images]
seen, unseen = (anomaly.baseline_scores(clothes, images) for images in parts)

# %%
limit = anomaly.threshold_at_tpr(seen)
through = [100 * (scores >= limit).double().mean() for scores in (seen, unseen)]
error = (through[1] * (100 - through[1]) / len(unseen)) ** 0.5  # standard error of a share
print(f"threshold {limit:.3f}: lets {through[0]:.1f} % of 2,500 training pictures through,")
print(f"of 1,000 new pictures of the same kinds {through[1]:.1f} % (plus or minus {error:.1f})")

# %% [markdown]
# You ordered 5 % false alarms; new pictures give a little more, with nothing odd in sight. This network was stopped early (its card: the best step); the longer one trains, the surer it is of what it was trained on. Set thresholds on pictures that the network was *not* trained on, and report on a third set.
#
# **Too few pictures.** FPR95 hangs on one threshold, and the threshold hangs on the 5 % of known pictures that score lowest: of 200, these are ten. **Predict** how far the number moves from one 200 to the next.

# %%
groups = [known[start : start + 200] for start in range(0, 2_000, 200)]
rates = [anomaly.fpr_at_tpr(group, odd) for group in groups]
print("FPR95, ten times, with 200 other known pictures each (score bank):")
print("  ".join(f"{100 * rate:.1f}" for rate in rates), "%")

# %% [markdown]
# The same network, the same odd pictures. Before you believe in a gain of five points, count the known pictures behind it.
#
# **The other positive.** Several libraries (among them OpenOOD and pytorch-ood) call the *odd* ones positive. Then "FPR95" means: catch 95 % of the odd ones, and count the false alarms. The same scores:

# %%
ours = anomaly.fpr_at_tpr(known, odd)  # let 95 % of the known through: how many odd ones come, too?
theirs = anomaly.fpr_at_tpr(-odd, -known)  # stop 95 % of the odd: how many known ones stop, too?
print(f"FPR95 with known as positive (ODIN's paper): {100 * ours:.1f} %")
print(f"FPR95 with odd as positive (OpenOOD):        {100 * theirs:.1f} %")
print(f"AUROC: {anomaly.auroc(known, odd):.4f} and {anomaly.auroc(-odd, -known):.4f}")

# %% [markdown]
# One name, two numbers; AUROC is the same for both. Before you compare with a paper, find out who is positive.

# %% [markdown]
# ## Summary
#
# - A softmax compares the classes it has. It cannot say "none of these", and far from the data its confidence goes to 1.
# - Still, the largest probability is *a little lower* on odd pictures: the baseline detector. Threshold, ROC, AUROC and FPR95 measure it.
# - At 95 % TPR much slips through, and since odd things are rare, most alarms are false. We need a score that parts the known from the odd better.
#
# **Next:** [12 · Temperature](12_temperature_softmax.ipynb): divide the logits by 1000 before the softmax. It changes no answer, and yet it parts them better.
#
# **Reading**
#
# - D. Hendrycks, K. Gimpel, *A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks*, ICLR 2017, [arXiv 1610.02136](https://arxiv.org/abs/1610.02136).
# - M. Hein, M. Andriushchenko, J. Bitterwolf, *Why ReLU Networks Yield High-Confidence Predictions Far Away From the Training Data and How to Mitigate the Problem*, CVPR 2019, [arXiv 1812.05720](https://arxiv.org/abs/1812.05720).
# - A. Nguyen, J. Yosinski, J. Clune, *Deep Neural Networks are Easily Fooled*, CVPR 2015, [arXiv 1412.1897](https://arxiv.org/abs/1412.1897).
# - S. Liang, Y. Li, R. Srikant, *Enhancing The Reliability of Out-of-distribution Image Detection in Neural Networks*, ICLR 2018, [arXiv 1706.02690](https://arxiv.org/abs/1706.02690): section 2, and table 2.
