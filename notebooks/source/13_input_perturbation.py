# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 13 · Input perturbation
#
# You ask a network which way to change a picture so that it grows more sure, take a step too small to see, and find that pictures the network knows answer to it more strongly than pictures it does not know.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/cnns-for-other-image-tasks/blob/main/notebooks/13_input_perturbation.ipynb)
#
# **Budget:** 60 s on a CPU core (GPU: not measured) · 1.3 GB of memory · nothing to download
#
# **You will be able to**
#
# - compute the gradient of a log-softmax with respect to the picture, and check it by nudging a pixel;
# - write ODIN's step, say why it takes signs, and predict how far it lifts the score;
# - explain why the same step parts what is inside the training distribution from what is outside;
# - tell ODIN's step from an adversarial attack, and recognise the classic bugs by their numbers.
#
# **Lecture and paper.** The lecture's formula of the perturbed picture, $\tilde x = x - \varepsilon\,\mathrm{sign}(-\nabla_x \log S_{\hat y}(x; T))$; Liang, Li, Srikant, *Enhancing The Reliability of Out-of-distribution Image Detection in Neural Networks* (ODIN, ICLR 2018), equation 2 and section 5; the attack is from Goodfellow, Shlens, Szegedy, *Explaining and Harnessing Adversarial Examples* (ICLR 2015).

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
import copy

import torch
import torch.nn.functional as F

from lessons_utils import anomaly, checkpoints, datasets, plots, recipes
from lessons_utils.explorers import detector, perturbation

# %% [markdown]
# ## 1. Asking instead of reading
#
# [Lesson 12](12_temperature_softmax.ipynb) read a network's answer through a temperature: $S_i(x;T) = e^{f_i(x)/T} / \sum_j e^{f_j(x)/T}$, with $f_i$ the logit of class $i$ and $T$ the temperature, and took the largest $S_i$ as the score. Now we do not only read. We *ask back*: change the picture a little and watch how the score reacts.
#
# We need a network and two pictures. The network is the course's own, trained on CIFAR-10 (ten classes of real photographs). The pictures are real photographs too, shrunk to 32 × 32: a cat, which is one of the ten classes, and a cup of coffee, which is not.


# %% tags=["explorer"]
def small(name):
    photograph = datasets.photograph(name)  # (1, 3, H, W) in [0, 1]
    height, width = photograph.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = photograph[..., top : top + side, left : left + side]
    return F.interpolate(square, (32, 32), mode="bicubic", antialias=True).clamp(0, 1)


# %% tags=["explorer"]
model, card = checkpoints.load("cifar10-compact", recipes.network("cifar10-compact"))
model = model.requires_grad_(False)  # we never train here: gradients go to pictures
classes = anomaly.CIFAR10_CLASSES
cat, coffee, rocket = small("cat"), small("coffee"), small("rocket")  # (1, 3, 32, 32)

# %%
print(f"test accuracy, from the card: {100 * card.metrics['test']['accuracy']:.1f} %")
for name, picture in (("cat", cat), ("coffee", coffee)):
    probabilities = anomaly.temperature_softmax(anomaly.classify(model, picture))[0]
    best = probabilities.argmax().item()
    print(f"{name:7s} -> {classes[best]}, probability {probabilities[best]:.2f} (shipped weights)")

# %% [markdown]
# "None of these" is not among the ten answers, so the cup gets a class as well ([lesson 11](11_overconfident_softmax.ipynb)).
#
# ## 2. The gradient with respect to the picture
#
# In training, the gradient says how the loss changes with each **weight**, and the picture stands still. Turn it round: the weights stand still, and we ask how the score changes with each **pixel**. With $\hat y$ the class that the network names,
#
# $$g = \nabla_x \, T \log S_{\hat y}(x; T)$$
#
# has one number for each value of the picture: how fast $T \log S$ rises if this value grows. The factor $T$ is our addition. It changes no direction, and gives handy numbers: at large $T$, $T\log S_{\hat y}$ is the logit $f_{\hat y}$ minus the mean of all logits, up to a constant (lesson 12).
#
# **Predict:** which shape has $g$ for a picture of shape (1, 3, 32, 32)? For a batch of 50 pictures, does one backward pass do?


# %%
def gradient_of_score(model, images, temperature=1000.0, label=None):
    pixels = images.clone().requires_grad_()
    logits = model(pixels).double()  # (B, C, H, W) -> (B, classes)
    if label is None:
        label = logits.argmax(dim=1)  # (B,): the network's own answer
    log_scores = (logits / temperature).log_softmax(dim=1).gather(1, label[:, None])
    (gradient,) = torch.autograd.grad(temperature * log_scores.sum(), pixels)
    return gradient


# %% [markdown]
# <details><summary>Answer</summary>
#
# The shape of the picture. One backward pass does for a batch, too: we differentiate the *sum* of all log scores, and picture 7 enters only term 7 of the sum. (That is true in eval mode. Keep it in mind for section 10.)
# </details>
#
# Two choices in the code: `double()` before the softmax, since at $T = 1000$ all scores lie between 0.10 and 0.11 (lesson 12), and `torch.autograd.grad` instead of `.backward()`, which leaves no gradient behind in any weight.

# %%
gradients = {"cat": gradient_of_score(model, cat), "coffee": gradient_of_score(model, coffee)}
pictures = {"cat": (cat, gradients["cat"]), "coffee": (coffee, gradients["coffee"])}
plots.show(
    perturbation.gradient_figure(pictures),
    alt="A cat and a cup of coffee of 32 x 32 pixels; for each the size of the gradient, largest at some places on the subject, and its sign, which looks like coloured noise.",
)

# %% [markdown]
# The middle picture shows where the answer hangs on: few places count much, most count a little. The signs look like coloured noise, and yet this noise is anything but random, as section 3 shows.
#
# First a check. A gradient is a promise about small changes, so let us make one: take the value with the largest gradient, add 0.0005 (an eighth of a gray level), and see whether $T \log S$ moves as promised. For so small a change we compute in `double`.


# %%
def score(model, images, temperature=1000.0):
    logits = anomaly.classify(model, images)  # (B, C, H, W) -> (B, classes), no gradient
    return temperature * anomaly.maximum_softmax(logits, temperature).log()  # T log S


# %%
precise = copy.deepcopy(model).double()
for name, picture in (("cat", cat.double()), ("coffee", coffee.double())):
    place = gradients[name].abs().argmax()  # in the flattened picture
    nudged = picture.clone()
    nudged.view(-1)[place] += 0.0005
    promised = 0.0005 * gradients[name].flatten()[place]
    moved = score(precise, nudged) - score(precise, picture)
    print(f"{name:7s} promised {promised:+.5f}   moved {moved.item():+.5f}   (shipped weights)")

# %% [markdown]
# Right to a few percent (section 4 says where the rest goes), and this is one value out of 3,072.
#
# ## 3. The step
#
# We may change each value by at most $\varepsilon$. Which change lifts the score most? To first order, changing value $k$ by $d_k$ adds $g_k d_k$, and each term is on its own: it is largest if $d_k$ goes all the way, in the direction of $g_k$,
#
# $$d_k = \varepsilon\,\mathrm{sign}(g_k), \qquad T\log S \text{ rises by } \sum_k g_k d_k = \varepsilon \sum_k |g_k| = \varepsilon\,\lVert g \rVert_1 .$$
#
# So the **sign** is no shortcut. It is the best step under this limit, and what it gains is the sum of all absolute gradients, the 1-norm.
#
# **Predict.** Three steps with the same largest change, $\varepsilon = 0.0014$: the signs; the gradient itself, scaled so that its largest value is $\varepsilon$; random signs. How do their gains compare?


# %%
def gains(picture, directions):
    before = score(model, picture)
    return [(score(model, picture + epsilon * d) - before).item() for d in directions]


# %%
epsilon = 0.0014  # the paper's, for pixels in [0, 1]: 0.36 gray levels of 255
print("gain of T log S (shipped weights)")
print("          signs   promised   the gradient   random signs")
for name, picture in (("cat", cat), ("coffee", coffee)):
    g = gradients[name]
    coins = torch.randint(2, g.shape, generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    signs, scaled, random = gains(picture, (g.sign(), g / g.abs().max(), coins))
    promised = epsilon * g.abs().sum()
    print(f"{name:7s}{signs:8.2f}{promised:11.2f}{scaled:15.2f}{random:15.2f}")

# %% [markdown]
# Random noise of this size does next to nothing: 3,072 small pushes, half of them wrong, cancel. The same noise with the *right* signs adds up, since there are so many values: that is what makes networks for pictures so easy to push. The gradient itself leaves most values nearly where they are.
#
# The paper writes the step with two minus signs:
#
# $$\tilde x = x - \varepsilon\,\mathrm{sign}\big(-\nabla_x \log S_{\hat y}(x; T)\big)$$
#
# They cancel, because $\mathrm{sign}(-a) = -\mathrm{sign}(a)$: it is **plus** $\varepsilon$ times the sign. (People drop one of them again and again; section 10 has the damage.) Your step, and the finished form, `anomaly.perturb`:


# %%
def step(model, images, epsilon, temperature=1000.0):
    return images + epsilon * gradient_of_score(model, images, temperature).sign()


# %%
batch = torch.cat([cat, coffee, rocket])  # (3, 3, 32, 32)
mine, packaged = step(model, batch, epsilon), anomaly.perturb(model, batch, 1000.0, epsilon)
print("the same as anomaly.perturb:", torch.equal(mine, packaged))
print(f"largest change: {255 * (mine - batch).abs().max():.2f} gray levels of 255")
print(f"values outside [0, 1], which nobody clips: {((mine < 0) | (mine > 1)).sum().item() > 0}")

# %%
shown = {
    "the cat": cat,
    "the step, 300 times larger": 0.5 + 300 * (mine[:1] - cat),
    "the cat after the step": mine[:1],
}
plots.show(
    plots.picture_row(shown, width=8.5),
    alt="The cat, the step drawn 300 times larger as coloured noise, and the cat after the step, which looks the same as before.",
)

# %% [markdown]
# You cannot see it; 0.36 of a gray level is less than what a screen can show. The network can.
#
# ## 4. Does the promise hold?
#
# The formula promises a rise of $\varepsilon \lVert g\rVert_1$. A straight line is only a promise near the point where it touches, so let us see how far it carries, on many pictures. CIFAR-10 cannot be shipped, so the many come from Fashion-MNIST: real photographs of clothes, small and gray. The network `fashion-eight` knows eight kinds of clothes. **Inside** are test pictures of these; **outside** are crops of scikit-image's photographs (a cup, a rocket, an astronaut, a motorcycle), made gray, and sandals, a class it never saw.

# %%
clothes_net, clothes_card = checkpoints.load("fashion-eight", recipes.network("fashion-eight"))
clothes_net = clothes_net.requires_grad_(False)

# %%
test, held_out = datasets.fashion_mnist("test"), datasets.fashion_mnist("held-out")
sandals = held_out.images[held_out.labels == held_out.classes.index("sandal")]
crops = datasets.photograph_crops(200).float().mean(dim=1, keepdim=True)  # gray
print(f"test accuracy, from the card: {100 * clothes_card.metrics['test']['accuracy']:.1f} %")

# %%
sets = {"clothes": test.images[:200], "photographs": crops, "sandals": sandals[:200]}
sets = {name: images.float() / 255 for name, images in sets.items()}  # (200, 1, 32, 32)

# %%
samples = {name: images[:6] for name, images in sets.items()}
rows = {name: torch.cat(list(images), dim=-1)[None] for name, images in samples.items()}
plots.show(
    plots.picture_row(rows, columns=1, width=7.5),
    alt="Six pictures of each set: clothes, gray crops of photographs, sandals.",
)

# %% [markdown]
# **Predict:** at $\varepsilon$ = 0.0002 (a twentieth of a gray level), 0.0014 (the paper's) and 0.02: will the measured rise be less or more than promised?

# %%
slopes, before = {}, {}
for name, images in sets.items():
    slopes[name] = gradient_of_score(clothes_net, images).abs().sum(dim=(1, 2, 3))  # (200,)
    before[name] = score(clothes_net, images)


# %%
def rises(name, epsilon):
    return score(clothes_net, step(clothes_net, sets[name], epsilon)) - before[name]


# %%
panels = {}
for e in (0.0002, 0.0014, 0.02):
    title = f"step of {255 * e:.2f} gray levels"
    panels[title] = {name: (e * slopes[name], rises(name, e)) for name in sets}

# %%
plots.show(
    perturbation.rise_figure(panels),
    alt="Measured against predicted rise for three steps: a little below the diagonal for the smallest, more so for the middle one, far below it for the largest.",
)

# %%
print("median of measured / promised (live)", *(f"{name:>12s}" for name in sets))
for title, values in panels.items():
    shares = [(measured / promised).median() for promised, measured in values.values()]
    print(f"{title:36s}", *(f"{share:12.2f}" for share in shares))
print(f"0.0014 lifts so many of 200 clothes: {(rises('clothes', 0.0014) > 0).sum()}")

# %% [markdown]
# The smaller the step, the nearer to the promise; the paper's 0.36 gray levels already lose a sixth of it (photographs) to a third (sandals). ReLU and maximum pooling make the network a patchwork of flat pieces, with a kink wherever a unit switches; the gradient knows only the piece on which the picture stands, and each border that the step crosses changes the slope, mostly for the worse. The promise is the **first order** of a Taylor series, $T\log S(\tilde x) = T\log S(x) + \varepsilon\lVert g\rVert_1 + o(\varepsilon)$; the paper's argument needs no more.
#
# ## 5. Inside and outside answer differently
#
# Here comes the discovery of the paper. A small step lifts *nearly every* picture's score. It helps a detector only if it lifts the inside ones **more**. The claim: it does, because $\lVert g \rVert_1$ tends to be larger inside.
#
# Now the real thing: CIFAR-10 inside, other photographs outside, and the paper's architecture, a DenseNet-BC. Its scores of thousands of pictures lie in a score bank, before and after steps of several lengths. The rise over $\varepsilon$ for the shortest step is nearly $\lVert g\rVert_1$ (somewhat too small, as section 4 showed). A second bank holds the same for our own network.

# %%
names = {"DenseNet": "densenet-cifar10", "our network": "cifar10-compact"}
banks = {title: anomaly.load_bank(name) for title, name in names.items()}
bank = banks["DenseNet"]
titles = {"cifar10-test": "CIFAR-10 (inside)"} | detector.TITLES

# %%
print("classifiers:", "; ".join(b.card.classifier for b in banks.values()))
counts = (f"{titles[name]} {bank.card.sets[name]['grid']}" for name in titles)
print("pictures with steps:", ", ".join(counts))
print("steps:", ", ".join(f"{e:g}" for e in bank.epsilons))


# %%
def rise(bank, name, epsilon):
    ratio = bank.odin(name, 1000, epsilon) / bank.odin(name, 1000, 0)
    return 1000 * ratio.log()  # of T log S


# %% [markdown]
# **Predict** the order of the medians: CIFAR-10's test pictures (inside); crops of TinyImageNet; CIFAR-100, other classes but much the same kind of picture; handwritten digits; Gaussian noise.

# %%
names = ("cifar10-test", "cifar100", "tinyimagenet-resize", "tinyimagenet-crop", "mnist")
shortest = bank.epsilons[1]
reaction = {name: rise(bank, name, shortest) / shortest for name in (*names, "gaussian")}

# %%
print("median of rise / epsilon, shortest step (score banks)")
print(" " * 22 + "".join(f"{title:>13s}" for title in banks))
for name in reaction:
    medians = ((rise(b, name, shortest) / shortest).median() for b in banks.values())
    print(f"{titles[name]:22s}" + "".join(f"{median:13.0f}" for median in medians))

# %%
inside = reaction["cifar10-test"]
others = ("tinyimagenet-crop", "cifar100", "gaussian")
pairs = {titles[name]: (inside, reaction[name]) for name in others}
plots.show(
    perturbation.histograms_figure(pairs, "rise / epsilon, shortest step"),
    alt="Histograms of the DenseNet's rise over epsilon, inside against three outside sets: apart for TinyImageNet crops and for noise, close together for CIFAR-100.",
)

# %% [markdown]
# For the DenseNet, the two histograms part where outside is far: for the crops, and most of all for noise. CIFAR-100's lies on the inside one. (Our own network reacts to CIFAR-100 less than to CIFAR-10: it depends on the network.)
#
# Why should it be so? The paper does not prove it. A picture: training pulls the logits of training pictures apart, so around them there is a landscape with a slope that many pixels share; far from them the network was never asked to have any. So a picture that the network *recognises* has much that can be strengthened; one that merely happens to land on a class has less.
#
# A larger slope alone would be a second detector. What counts is that it brings something new: **at the same score**, inside pictures still rise more. Look along a vertical line in each panel. The score is drawn as $T\log(10\,S)$, that is $T\log S$ plus $T\log 10$, so that total doubt ($S = 1/10$) scores 0.


# %%
def scores(bank, name, epsilon):
    return 1000 * (10 * bank.odin(name, 1000, epsilon)).log()  # T log(10 S)


# %%
chosen = {
    titles[name]: (scores(bank, name, 0)[:400], reaction[name][:400])
    for name in ("cifar10-test", *others)
}
plots.show(
    perturbation.reaction_figure(chosen, "rise / epsilon, shortest step"),
    alt="The DenseNet's rise over epsilon against the score before the step: at the same score inside pictures lie above the TinyImageNet crops, among those of CIFAR-100, far above noise.",
)

# %% [markdown]
# What it does to the detector, in two histograms of the score: before the step, and after 0.36 of a gray level.

# %%
after = {
    f"epsilon = {e}": [scores(bank, name, e) for name in ("cifar10-test", "tinyimagenet-crop")]
    for e in (0, 0.0014)
}
plots.show(
    perturbation.histograms_figure(after, "score, T log(10 S)", columns=2),
    alt="Scores of CIFAR-10 and of TinyImageNet crops, without a step and with one: with it both move up, the inside ones further.",
)

# %% tags=["marked"]
# With CIFAR-10 and TinyImageNet (crop) at hand, or 195 MB of download: our network, live.
# (Of 200 pictures ten set the threshold: FPR95 may be off by 15 points.)
measure_live = False
if measure_live:
    ours, live = banks["our network"], {}
    for name in ("cifar10-test", "tinyimagenet-crop"):
        images = datasets.image_set(name, 200).images
        live[name] = anomaly.odin_grid(model, images, [1000.0], [0, 0.0005, 0.0014])[0]
        slope = (1000 * (live[name][1] / live[name][0]).log() / 0.0005).median()
        banked = (rise(ours, name, 0.0005) / 0.0005).median()
        print(f"{name:18s} median rise / epsilon: live {slope:.0f}, score bank {banked:.0f}")
    for column, e in ((0, 0), (2, 0.0014)):
        fpr = anomaly.fpr_at_tpr(*(grid[column] for grid in live.values()))
        banked = anomaly.fpr_at_tpr(*(ours.odin(name, 1000, e) for name in live))
        print(f"epsilon {e}: FPR95 live {100 * fpr:.1f} %, score bank {100 * banked:.1f} %")

# %% [markdown]
# ## 6. How large a step?
#
# Too small, and nothing parts. Too large, and the promise of section 4 is void: every picture, whatever it shows, can be pushed up to some class. **Predict:** on CIFAR-10, where between 0 and one gray level is the best step for the crops? For CIFAR-100, with the histograms above in mind? For noise? And is it the same for both networks? (FPR at 95 % TPR from lesson 11: the share of outside pictures that pass where 95 % of the inside ones do; less is better.)


# %%
def curve(bank, name):
    pairs = ([bank.odin(each, 1000, e) for each in ("cifar10-test", name)] for e in bank.epsilons)
    return [100 * anomaly.fpr_at_tpr(*pair) for pair in pairs]


# %%
shown = (*others, "tinyimagenet-resize")
panels = {title: {titles[name]: curve(b, name) for name in shown} for title, b in banks.items()}
places = {title: [255 * e for e in b.epsilons] for title, b in banks.items()}

# %%
labels = ("epsilon, gray levels", "FPR at 95 % TPR, in %")
plots.show(
    perturbation.curves_figure(panels, places, labels, marked=255 * 0.0014),
    alt="FPR at 95 % TPR against epsilon at T = 1000 for two networks and four outside sets: for TinyImageNet crops it falls with both and then rises a little; for CIFAR-100 it moves little and ends higher; for noise it falls to zero with the DenseNet and stays at 100 with our network.",
)

# %%
print("median of T log(10 S), T = 1000 (score banks)   no step   epsilon 0.0014")
for title, b in banks.items():
    for name in ("cifar10-test", "gaussian"):
        medians = [scores(b, name, e).median() for e in (0, 0.0014)]
        print(f"{title:13s}{titles[name]:34s}{medians[0]:8.1f}{medians[1]:17.1f}")

# %% [markdown]
# CIFAR-100 hardly gains from any step: 4 points with our network, less than one with the DenseNet. Gaussian noise shows that a gap in slope is not enough. With the DenseNet it starts below most inside pictures, and they climb away from it. Our network reacts weakly to it, too, but there it starts *above* most inside pictures, and no step of this range makes up for that.
#
# The gray line is the paper's $\varepsilon$. It is no constant of nature: the best step differs from set to set and from network to network. With the DenseNet, resized pictures want less and noise wants more. Choosing it on the very pictures that you report would be cheating; lesson 14 chooses it on a set of its own. Here we only look.
#
# And on other data? **Predict:** will 0.0014 be about right for clothes, too?

# %%
steps = (0, 0.0014, 0.004, 0.01, 0.02, 0.05, 0.1)
grids = {
    name: anomaly.odin_grid(clothes_net, images, [1000.0], steps)[0]  # (7, 200)
    for name, images in sets.items()
}


# %%
def in_percent(inside, outside):
    fpr, area = anomaly.fpr_at_tpr(inside, outside), anomaly.auroc(inside, outside)
    return f"{100 * fpr:10.1f} {100 * area:6.1f}"


# %%
print("clothes inside, T = 1000, live, shipped weights: FPR at 95 % TPR and AUROC, in %")
print("epsilon  gray levels       photographs           sandals")
for e, inside, *others in zip(steps, *grids.values(), strict=True):
    print(f"{e:7.4f} {255 * e:9.2f}   ", *(in_percent(inside, other) for other in others))

# %%
pairs = zip(grids["clothes"], grids["photographs"], strict=True)  # one pair a step
rates = [anomaly.fpr_at_tpr(*pair) for pair in pairs]
best = steps[rates.index(min(rates))]
print(f"best against the photographs: {best} (chosen on the same pictures, to look only)")
medians = (f"{name} {values.median():.0f}" for name, values in slopes.items())
print("median of the gradient's 1-norm:", ", ".join(medians))

# %% [markdown]
# For the photographs the best step is several times larger than CIFAR's. The slopes say why: about 200 here, more than 3,000 on CIFAR-10, so the same $\varepsilon$ moves the score sixteen times less or so. For the sandals no step helps by FPR, and AUROC gains a few points: they are near, as CIFAR-100 is. (Clothes and photographs have the same median slope, and yet the step helps. The median alone does not decide it: a long step keeps more of its promise for the clothes, as section 4 printed.) So the grid in which you search must fit the data. And large steps undo what small ones achieved: push hard enough, and any picture says what the step wants. (Of 200 clothes, ten set the threshold, so a single FPR is shaky by several points; AUROC is steadier.)
#
# ## 7. One sign away from an attack
#
# Turn the sign, and you have in essence the **fast gradient sign method**, the best-known adversarial attack: with $y$ the true class and the loss $-\log S_y$, it takes $x + \varepsilon\,\mathrm{sign}(\nabla_x (-\log S_y))$, uphill in the *loss*. Where the network names the true class, and at the same temperature, ODIN goes the other way on the same line. (Below, the line is ODIN's, at $T = 1000$, in both directions.)
#
# **Predict:** walk this line from −8 to +8 gray levels, for the cat and for the cup. Where does the network change its mind?

# %%
levels = torch.linspace(-8, 8, 33)


def walk(name, picture):
    moved = picture + levels.view(-1, 1, 1, 1) / 255 * gradients[name].sign()  # (33, 3, 32, 32)
    return anomaly.temperature_softmax(anomaly.classify(model, moved))  # (33, 10), T = 1


# %%
walks = {"cat": walk("cat", cat), "coffee": walk("coffee", coffee)}
lines = {}
for name, probabilities in walks.items():
    top = probabilities.amax(dim=0).argsort(descending=True)[:4].tolist()
    lines[name] = {classes[number]: probabilities[:, number] for number in top}

# %%
labels = ("step, gray levels (left: attack, right: ODIN)", "probability at T = 1")
plots.show(
    perturbation.curves_figure(lines, dict.fromkeys(lines, levels), labels, marked=0),
    alt="Probabilities of four classes along the line: to the right the named class stays near one, to the left it collapses within a few gray levels and another class takes over; the cat returns farther left.",
)

# %%
for name, probabilities in walks.items():
    other = probabilities.argmax(dim=1) != probabilities[16].argmax()  # (33,); 16 is no step
    first = -levels[:16][other[:16]].max()  # there is one, for both pictures
    print(f"{name:7s} another answer from {first:.1f} gray levels backwards on, ", end="")
    print(f"in {other[:16].sum()} of 16 places; forwards in {other[17:].sum()} (live)")

# %% [markdown]
# A few gray levels backwards, still hard to see, and the cat is no cat. (A straight line can also overshoot: farther back the cat returns.) Forwards the answer stays; but the cat's probability bends down in the end, and section 8 shows its score rise and then fall: there, too, the straight line has ended. Over many pictures, with their true labels for the attack (it may know them; a detector may not):

# %%
truth, images = test.labels[:200], sets["clothes"]
uphill = gradient_of_score(clothes_net, images, temperature=1.0, label=truth).sign()
answers = anomaly.classify(clothes_net, images).argmax(dim=1)

# %%
print("200 clothes (live)   right after the attack   same answer after ODIN's step")
for e in (0, 0.0014, 0.01, 0.02, 0.05):
    attacked = anomaly.classify(clothes_net, images - e * uphill).argmax(dim=1)
    lifted = anomaly.classify(clothes_net, step(clothes_net, images, e)).argmax(dim=1)
    right, same = (attacked == truth).double().mean(), (lifted == answers).double().mean()
    print(f"epsilon {e:<12} {100 * right:18.1f} % {100 * same:26.1f} %")

# %% [markdown]
# | | attack (FGSM) | ODIN's step |
# | --- | --- | --- |
# | direction | lowers $\log S$ | raises $\log S$ |
# | of which class | the true one, which it must know | the one that the network names |
# | temperature | 1 | large |
# | aim | another answer | the same answer, another *score* |
# | size | as large as goes unseen, 4 to 8 gray levels | 0.1 to 1 gray level (CIFAR-10) |
#
# ## 8. Try to break it
#
# Choose a picture, a direction, and a step, forwards or backwards. The right panel shows the score, $T\log(10\,S)$ at $T = 1000$, of all four pictures along the same direction.
#
# **Question.** (a) With the sign of the gradient, by 0.36 forwards: whose score rises most, whose least? (b) How far can you go backwards before the cat is something else? And the cup; what does its *score* do from there on? (c) Can you do the same with random signs? (d) From which step forwards does noise look as known as the cat did at the start? From which is it ahead of the cat, after the same step?

# %% tags=["explorer"]
noise = datasets.noise_images("uniform", 1).float() / 255
perturbation.push_a_picture(
    model, {"cat": cat, "coffee": coffee, "rocket": rocket, "uniform noise": noise}, classes
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# (a) The cat's rises most, by 3.7, and the noise's least, by 0.6: that is ODIN. (But the noise starts at 11.0, above the cup's 9.7, and so small a lead of the slope does not undo that.) (b) The cat is a dog at 3 and 4 gray levels (at 6 it is a cat again), the cup an automobile from 1 on. From there on the cup's score *rises* again, since the score is the largest probability, whoever owns it: for such a picture, a detector with the wrong sign first punishes, then rewards. The cat's score falls on, nearly to the end. (c) No. The cat stays a cat as far as the slider goes, and within one gray level its score hardly moves. (d) 2 gray levels lift the noise to where the cat was; after 4, noise is ahead of the cat, and the order is turned upside down. That is "epsilon too large".
# </details>
#
# ## 9. Paper versus ours
#
# FPR at 95 % TPR in %, CIFAR-10 inside. *Baseline*: $T = 1$, no step. *T*: $T = 1000$, no step. *T + step*: $T = 1000$, $\varepsilon = 0.0014$, all fixed beforehand. The paper (table 2, DenseNet-BC) prints the first and the last.

# %%
paper = {
    "tinyimagenet-crop": (34.7, 4.3),
    "tinyimagenet-resize": (40.8, 7.5),
    "uniform": (23.5, 0.0),
    "gaussian": (12.3, 0.0),
}


# %%
def false_positives(bank, name):
    for temperature, epsilon in ((1, 0), (1000, 0), (1000, 0.0014)):
        pair = [bank.odin(each, temperature, epsilon) for each in ("cifar10-test", name)]
        yield 100 * anomaly.fpr_at_tpr(*pair)


# %%
heads = ("paper, DenseNet", "DenseNet (score bank)", "our network (score bank)")
print(" " * 20 + "{:^22s}{:^29s}{:^29s}".format(*heads))
head = f"{'baseline':>9s}{'T':>8s}{'T + step':>10s}  "
print(" " * 20 + f"{'baseline':>10s}{'T + step':>10s}  " + head + head)
for name in (*paper, "cifar100", "mnist"):
    published = "".join(f"{value:10.1f}" for value in paper.get(name, ())) or f"{'--':>20s}"
    ours = ("{:9.1f}{:8.1f}{:10.1f}  ".format(*false_positives(b, name)) for b in banks.values())
    print(f"{titles[name]:20s}{published}  {''.join(ours)}")

# %% [markdown]
# **What agrees:** for the crops, temperature and step together do far more than the baseline, and the step does its part on top of the temperature. On noise the temperature alone does harm (lesson 12); with the DenseNet the step repairs that, as in the paper. **What does not:** our resized pictures are much harder than the paper's, which were shrunk without averaging; lesson 14 opens that box. CIFAR-100 is not in the paper's table for CIFAR-10: the temperature takes 10 points and more off, the step hardly helps. Our own network takes noise for something it knows, and no step of the grid talks it out of it: a method that needs the network to be less responsive outside depends on the network. The DenseNet's weights come from another group, so even its baseline differs: by 13 to 40 points on three of the four sets.
#
# ## 10. What goes wrong in practice
#
# Every line below was, or is, in somebody's code. For the photographs among the clothes, section 6 found the best step of its list (on the same pictures, to look only); that is the reference.
#
# **The sign.** `x + epsilon * sign(-gradient)`: one of the two minuses got lost. **The units.** The model normalises its input, the step is taken *after* that, and nobody divides $\varepsilon$ by the standard deviation: for clothes, with a deviation of 0.34, the step is a third of what it should be. **The temperature forgotten**, in the score or everywhere. **A library's default**: 0.014 in one, 0.05 in another, whatever the data.
#
# **Predict:** which of these costs more than the step brings?

# %%
right, deviation = best, clothes_card.architecture["deviation"][0]
faults = {  # what is taken: the step, its temperature, the score's temperature
    "no step": (0.0, 1000.0, 1000.0),
    "as it should be": (right, 1000.0, 1000.0),
    "wrong sign": (-right, 1000.0, 1000.0),
    "not divided by the deviation": (right * deviation, 1000.0, 1000.0),
    "epsilon 0.014, a default": (0.014, 1000.0, 1000.0),
    "epsilon 0.05, a default": (0.05, 1000.0, 1000.0),
    "score at T = 1": (right, 1000.0, 1.0),
    "T = 1 in both": (right, 1.0, 1.0),
}

# %%
print("clothes inside, live; FPR95, AUROC in %    photographs           sandals")
for name, (epsilon, step_at, score_at) in faults.items():
    inside, *others = (
        score(clothes_net, step(clothes_net, images, epsilon, step_at), score_at)
        for images in sets.values()
    )
    print(f"{name:34s}", *(in_percent(inside, other) for other in others))

# %% [markdown]
# The wrong sign and the larger default leave you worse off than no step at all. The smaller default is near the best step here, and ten times the paper's on CIFAR-10. The others cost a part of the gain or, at $T = 1$, more: against the sandals the forgotten temperature has the lowest AUROC of all. None of them crashes, and most look like a detector that works "a bit less well than in the paper". Three checks catch them: **the step must lift $\log S$** of nearly every picture (wrong sign: it falls); the largest change must be $\varepsilon$ **in gray levels** that you can name; and at $T = 1000$ **every score lies just above one over the number of classes** (0.10 to 0.11 for ten), so a score of 0.9 tells of a forgotten temperature.
#
# **The picture saved in between.** Perturb, write PNG files, score them later: sounds tidy. **Predict** what is left of the paper's step.

# %%
moved = step(model, cat, 0.0014)
original = (cat * 255).round() / 255
print(f"values that a step of 0.0014 changed: {((moved - cat) != 0).double().mean():.3f} of all")
saved = ((original + 0.0014 * gradients["cat"].sign()).clamp(0, 1) * 255).round() / 255  # a PNG
print(f"of an 8-bit picture, after saving:    {(saved != original).double().mean():.3f} of all")

# %% [markdown]
# Nothing is left: 0.36 of a level rounds to 0. (And a step in half precision is in danger for the same reason; `anomaly.perturb` refuses.)
#
# **The network in train mode.** A gradient? Then surely `model.train()`. Batch normalisation now takes its mean and deviation from *the batch*, so pictures influence each other, and the running statistics are overwritten on top. We do it to a copy.

# %%
spoilt = copy.deepcopy(clothes_net).train()
shirt, clothes, photographs = sets["clothes"][:1], sets["clothes"][1:50], sets["photographs"][:49]
batches = (torch.cat([shirt, clothes]), torch.cat([shirt, photographs]), shirt)
print("how sure of one and the same shirt?  among clothes   among photographs   alone")
for mode, network in (("eval", clothes_net), ("train", spoilt)):
    sure = [network(batch).softmax(dim=1)[0].max() for batch in batches]
    print(f"{mode:35s} {sure[0]:15.3f} {sure[1]:19.3f} {sure[2]:7.3f}")


# %%
def odin_by(network, images, size):  # in whatever mode the network is
    parts = images.split(size)
    answers = torch.cat([network(part).argmax(dim=1) for part in parts])
    moved = [network(step(network, part, right)) for part in parts]
    return anomaly.maximum_softmax(torch.cat(moved), 1000.0), answers


# %% [markdown]
# Now 100 clothes against 100 photographs. **Predict:** one picture at a time, as many loops do it; five at a time; all at once. Which is hurt most? And against 100 sandals?

# %%
trials = (("eval", clothes_net, 100), *(("train", spoilt, size) for size in (1, 5, 100)))
print("FPR95, AUROC in % (live)   photographs           sandals   clothes named right, in %")
for mode, network, size in trials:
    results = [odin_by(network, images[:100], size) for images in sets.values()]
    inside, *others = (result[0] for result in results)
    hits = (results[0][1] == truth[:100]).double().mean()
    columns = " ".join(in_percent(inside, other) for other in others)
    print(f"{mode:6s}{size:4d} a batch{columns}{100 * hits:13.0f}")

# %%
before, after = (recipes.accuracy(n, test.images, test.labels) for n in (clothes_net, spoilt))
print(f"accuracy in eval mode: before {100 * before:.1f} %, afterwards {100 * after:.1f} %")

# %% [markdown]
# One at a time, next to nothing is left of the classifier: each picture is normalised by itself. In larger batches the photographs are told apart worse, and the sandals far *better* than they should be: a batch of sandals only is normalised as sandals, so the batch gives the answer away. The same pictures, the same weights, four results: a score must depend on its picture alone. And the network stays damaged after the measurement, since its running statistics now describe other pictures, too.
#
# `anomaly.perturb` and `anomaly.odin_scores` switch to eval mode themselves, put back what they found, and leave weights, gradients and statistics untouched.
#
# ## Summary
#
# - The gradient of $\log S_{\hat y}$ with respect to the picture says how to make the network surer; under a limit on each pixel, the best step is its sign, and it gains $\varepsilon\lVert g\rVert_1$.
# - On CIFAR-10, inside pictures have the larger $\lVert g\rVert_1$ at the same score, so a step too small to see parts them from far ones; from near ones (CIFAR-100) it hardly does, and noise that scores too high beforehand (our network) passes all the same.
# - The other sign is an attack; too large a step, other units, train mode, or 8 bits in between spoil it without an error message.
#
# **Next:** [14 · The ODIN detector](14_odin_detector.ipynb): temperature, step and threshold in one piece, tuned honestly, and measured against the paper and against what came after.
#
# **Reading.** Liang, Li, Srikant, ICLR 2018, section 5; Goodfellow, Shlens, Szegedy, *Explaining and Harnessing Adversarial Examples* (ICLR 2015), for why many small pushes add up; Huang, Geng, Li, *On the Importance of Gradients for Detecting Distributional Shifts in the Wild* (GradNorm, NeurIPS 2021), which takes a gradient's norm (with respect to weights) as the score itself; Hsu et al., *Generalized ODIN* (CVPR 2020), which chooses $\varepsilon$ without any outside picture.
