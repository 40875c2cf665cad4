# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07 · Fine depth
#
# You add a second, small network that looks closely at the picture, join the coarse map into it, train it in a stage of its own, and see what it repairs, what it cannot repair, and what it spoils.
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/OWNER/cnns-for-other-image-tasks/blob/main/notebooks/07_fine_depth.ipynb)
#
# **Budget:** 105 s on a CPU core (GPU: not measured) · 1.9 GB of memory · nothing to download
#
# **You will be able to**
#
# - build the fine network, count its weights, and work out what one of its outputs sees;
# - tell what each of the two inputs contributes, by taking one away;
# - train a second stage on a first one that really stands still;
# - read the paper's table: what got better, what got worse, and how much of the error is one number a picture.
#
# **Lecture and paper.** The lecture's slide with input, coarse, fine and truth side by side; Eigen, Puhrsch, Fergus, *Depth Map Prediction from a Single Image using a Multi-Scale Deep Network* (NeurIPS 2014), sections 3.1.2, 3.2 and 5.1, figure 4 and table 1; the gradient term of Eigen and Fergus (ICCV 2015).

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
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from lessons_utils import checkpoints, datasets, depth, plots, training
from lessons_utils.explorers import fine
from lessons_utils.scenes import raycaster, rooms

# %% [markdown]
# ## 1. What the coarse map lacks
#
# The coarse network of lesson 06 sees the whole picture and knows roughly how far everything is. We take the shipped weights, trained on rendered rooms, and a hundred rooms that they never saw. (The first time, the rooms are rendered, which takes some seconds; afterwards they lie in a cache.)

# %% tags=["nbval-ignore-output", "explorer"]
test_frames = rooms.frames("test", 100)  # images, depth in metres, where a sensor would see it

# %% tags=["explorer"]
card = checkpoints.load_card("eigen-rooms")
model, card = checkpoints.load("eigen-rooms", depth.EigenDepth(**card.architecture))
model = model.requires_grad_(False)  # nothing here trains the shipped weights

# %%
images, truth, _ = test_frames
valid = truth > 0  # rendered depth is exact, so that every pixel counts
predicted = depth.predict(model, images)  # "mean", "coarse", "fine": (100, 1, 120, 160), metres
print("test rooms", tuple(images.shape), " depth", tuple(truth.shape))
print(
    f"the networks see {model.architecture.coarse_input}, and answer with {model.architecture.output_size}"
)

# %% [markdown]
# **Predict.** Follow depth along one row of the picture. Where the truth jumps, from the shade of a lamp to the wall behind it, what does the coarse map do?

# %%
room, row = 64, 30
lines = {"truth": truth[room, 0], "coarse": predicted["coarse"][room, 0]}
figure = fine.profile_figure(images[room], lines, row)
plots.show(
    figure,
    alt="A rendered room with a line across it, and depth along the line: the truth has steep jumps, the coarse map is one smooth curve.",
)

# %% [markdown]
# It glides. Let us count over all hundred rooms, on the grid of 26 × 36 points that the network answers on. At a **jump** the true log depth of two neighbours differs by more than 0.1, so their depths by more than 10 %. We add up how far the prediction steps in the right direction there, and divide by how far the truth does.


# %%
def share_of_jumps(output, truth):
    taken = wanted = 0
    for axis in (-1, -2):  # neighbours to the right, and below
        real, made = truth.log().diff(dim=axis), output.log().diff(dim=axis)
        jump = real.abs() > 0.1
        taken += (made * real.sign())[jump].sum()
        wanted += real[jump].abs().sum()
    return (taken / wanted).item()


# %%
def cells(frames):
    """What belongs to the networks' output, without averaging: (N, 1, 120, 160) -> (N, 1, 26, 36)"""
    return depth.output_grid(depth.centre_crop(frames, model.architecture.coarse_input))


# %%
coarse_share = share_of_jumps(cells(predicted["coarse"]), cells(truth))
print(
    f"of the true jumps the coarse map makes {100 * coarse_share:.0f} % (shipped weights, 100 test rooms)"
)

# %% [markdown]
# Two reasons. Fully connected layers summarise: 512 numbers must describe the whole map. And where the network is not sure *where* the chair ends, the squared error asks for the mean of all places where it may end, and the mean of sharp edges is a ramp (lesson 04 saw it with super-resolution).
#
# The place of an edge is written in the picture, close by. So let a second network look there.
#
# ## 2. The fine network
#
# Only convolutions, so that each output pixel looks at its surroundings. At the paper's sizes a picture has 228 × 304 pixels, and the output about a quarter as many each way. Layer by layer:

# %%
picture = torch.rand(1, 3, 228, 304)  # at the paper's sizes
first = nn.Conv2d(3, 63, 9, stride=2)  # no padding
edges = first(picture).relu()  # (1, 3, 228, 304) -> (1, 63, 110, 148)
pooled = F.max_pool2d(edges, 3, stride=2, ceil_mode=True)  # -> (1, 63, 55, 74)
print(tuple(edges.shape), "->", tuple(pooled.shape))

# %% [markdown]
# Why 63 maps, and not 64? Because the 64th comes from outside: it is the **coarse map**, which has the same size. The two are put on top of each other, and from there on the layers do not care which map came from where.

# %%
coarse_map = torch.rand(1, 1, 55, 74)  # from the coarse network
joined = torch.cat([pooled, coarse_map], dim=1)  # (1, 63 + 1, 55, 74)
mixing = nn.Conv2d(64, 64, 5, padding=2)
output = nn.Conv2d(64, 1, 5, padding=2)  # no ReLU behind: log depth may be negative
log_depth = output(mixing(joined).relu())  # (1, 64, 55, 74) -> (1, 64, 55, 74) -> (1, 1, 55, 74)
print(tuple(joined.shape), "->", tuple(log_depth.shape))

# %% [markdown]
# **Predict.** The coarse network at this size has 70,757,734 weights and biases. How many has the fine one? A convolution has $c_\text{out}\,(c_\text{in}\,k^2 + 1)$, with $c_\text{in}$ and $c_\text{out}$ the maps that come in and go out, and $k$ the side of its filters.

# %%
counts = [sum(p.numel() for p in layer.parameters()) for layer in (first, mixing, output)]
print(" + ".join(f"{count:,}" for count in counts), "=", f"{sum(counts):,}")
print(f"the coarse network has {70_757_734 / sum(counts):.0f} times as many")

# %% [markdown]
# The same in one class, with sizes that we can choose. In front stands what the package does, too: brightness is shifted and scaled so that its mean is near 0 and its deviation near 1.


# %%
class FineNetwork(nn.Module):
    def __init__(self, maps=64):
        super().__init__()
        self.edges = nn.Conv2d(3, maps - 1, 9, stride=2)
        self.mixing = nn.Conv2d(maps, maps, 5, padding=2)
        self.output = nn.Conv2d(maps, 1, 5, padding=2)

    def forward(self, images, coarse):
        edges = self.edges((images - 0.45) / 0.27).relu()
        edges = F.max_pool2d(edges, 3, stride=2, ceil_mode=True)
        joined = torch.cat([edges, coarse], dim=1)
        return self.output(self.mixing(joined).relu())


# %% [markdown]
# The finished form is `depth.FineNetwork`. Our laptop-sized variant (`depth.SMALL`) takes a picture of half the side, and its fine network has 32 maps instead of 64; everything else in it is as above. Given the shipped weights, your class must say what the package says:

# %%
mine = FineNetwork(maps=depth.SMALL.fine_maps)
mine.load_state_dict(model.fine.state_dict())
seen = depth.to_unit(depth.centre_crop(images[:4], (114, 152)))  # (4, 3, 114, 152)
coarse = model.coarse(seen)  # -> (4, 1, 26, 36), log depth
print("small: ", f"{sum(p.numel() for p in mine.parameters()):,} weights and biases")
print("the same outputs:", torch.allclose(mine(seen, coarse), model.fine(seen, coarse), atol=1e-5))

# %% [markdown]
# ### What one output sees
#
# The paper says: 45 × 45 pixels of the picture. Work it out. Go through the layers from the input on, with two numbers: the **field** (how many input pixels a unit sees) and the **jump** (how many input pixels lie between two neighbours). A layer with window $k$ and stride $s$ changes them to
#
# $$\text{field} \leftarrow \text{field} + (k - 1)\cdot\text{jump}, \qquad \text{jump} \leftarrow s \cdot \text{jump}$$
#
# The paper's figure 1 prints a 2 × 2 pooling; our cell above pools 3 × 3; both have stride 2. **Predict** which of the two gives 45.


# %%
def field_of_view(layers):
    field = jump = 1
    for window, stride in layers:
        field, jump = field + (window - 1) * jump, jump * stride
    return field


# %%
for pool in (2, 3):
    layers = [(9, 2), (pool, 2), (5, 1), (5, 1)]  # first, pooling, mixing, output
    print(f"{pool} x {pool} pooling: {field_of_view(layers)} x {field_of_view(layers)} pixels")

# %% [markdown]
# The figure and the text do not agree: it is windows of 3 × 3, two pixels apart, that give the text's 45. The authors' released code pools so, and so do we. (Both give maps of 55 × 74, so a test of shapes would not notice.) A computed number deserves a measured one beside it: which input pixels have a gradient?

# %%
picture = seen[:1].clone().requires_grad_(True)
model.fine(picture, coarse[:1])[0, 0, 13, 18].backward()  # one output in the middle
touched = picture.grad[0].abs().sum(dim=0) > 0  # (114, 152)
rows, columns = touched.any(dim=1).sum().item(), touched.any(dim=0).sum().item()
print(f"measured in the shipped network: {rows} x {columns} pixels")

# %%
fields = {
    "paper's size, fine: 45 of 228 rows": (45 / 228, 45 / 304),
    "our small size, fine: 45 of 114 rows": (45 / 114, 45 / 152),
    "coarse, either size: everything": (1.0, 1.0),
}
plots.show(
    fine.fields_figure(images[room], fields),
    alt="One room three times; the part that one output pixel sees is bright: a small square, a square of twice its side, the whole picture.",
)

# %% [markdown]
# Mind the difference: our picture is half as large, but the filters are not, so our fine network sees **twice as much of the room** as the paper's, each way. Through a hole of either size you cannot tell a doll's house from a hall. That is what the 64th map is for.
#
# ## 3. The coarse map switched off
#
# How much does the fine network rely on that one map among 32? Take the trained network and hand it something else instead: nothing (zeros), the mean depth picture, or the coarse map **of another room**.
#
# **Predict:** which is the worst? And in the last case, will the answer look like this room or like the other?

# %%
everything = depth.to_unit(depth.centre_crop(images, (114, 152)))  # (100, 3, 114, 152)
own = torch.cat([model.coarse(part) for part in everything.split(25)])  # (100, 1, 26, 36)
given = {
    "its own": own,
    "zeros": torch.zeros_like(own),
    "the mean": model.coarse.mean_depth.log().expand_as(own),
    "the next room's": own.roll(-1, dims=0),
}


# %%
def answers(coarse):
    parts = zip(everything.split(25), coarse.split(25), strict=True)
    output = torch.cat([model.fine(images, maps) for images, maps in parts])
    return depth.to_frame(output, (120, 160), (114, 152)).exp()  # metres


# %%
swapped = {name: answers(coarse) for name, coarse in given.items()}
print("coarse map given     abs rel   RMSE log   scale-inv.     (shipped weights, 100 test rooms)")
for name, maps in swapped.items():
    m = depth.measure(maps, truth, valid)
    print(f"{name:18s} {m['abs_rel']:9.3f} {m['rmse_log']:10.3f} {m['scale_invariant']:12.3f}")

# %%
chosen = [63, 81, 73]
shown = {
    f"with {name} map": swapped[name][chosen] for name in ("its own", "the mean", "the next room's")
}
shown["the next room's truth"] = truth.roll(-1, dims=0)[chosen]
notes = [f"room {number}" for number in chosen]
plots.show(
    fine.rows_figure(images[chosen], {"truth": truth[chosen]} | shown, notes, width=13),
    alt="Three rooms. With its own map the answer fits the truth. With another room's map the outlines are this room's, the distances the other's.",
)

# %% [markdown]
# With another room's map you see a double exposure: the **outlines of this room, the distances of the other**. The fine network does not know how far things are; it takes that on trust and draws edges into it. With the mean map its abs rel is hardly better than that of the mean picture alone (.37, section 7). Zeros mean "1 metre everywhere" in log depth, a map that it never met in training. The mean map is the fair way to switch a map off: plausible, and without knowledge of this room.
#
# ## 4. Two stages
#
# Why not train both networks together, end to end? The fine network would learn its fast, local tricks on a coarse map that changes under it at each step, and the coarse network would be pulled towards whatever the fine one likes at the moment. The paper trains the coarse network first; then it stands still, and the fine network learns on its outputs.
#
# "Stands still" means three things, and each is forgotten now and then (section 11):
#
# - **no gradient** goes into it (`torch.no_grad`), which also saves a backward pass;
# - **the optimiser does not hold its weights**;
# - it is in **eval mode**: with dropout on, half of its 512 hidden units would be switched off at random, other ones in each batch, and the fine network would learn to repair a noise that no test picture has.
#
# The start is kind: `depth.initialise` lets the fine network begin by passing the coarse map on, so stage two starts near where stage one ended.

# %% tags=["nbval-ignore-output"]
training_frames = rooms.frames("train", 300)
watched, watched_truth, _ = rooms.frames("validation", 50)

# %%
student = depth.EigenDepth(**card.architecture)
depth.initialise(student, training_frames, torch.Generator().manual_seed(0))
student.coarse.load_state_dict(model.coarse.state_dict())  # stage one: the shipped weights
student.coarse.requires_grad_(False).eval()
difference = student.fine(seen, coarse) - coarse
print(
    f"the untrained fine network differs from the coarse map by {difference.abs().mean():.2f} in log depth"
)

# %% [markdown]
# ### What the loss sees
#
# The loss of lesson 06 compares depths pixel by pixel. Its value does not depend on *where* in the picture the errors are. The authors' follow-up (2015) adds a term that compares **slopes**:
#
# $$L_\nabla = \frac{1}{n} \sum_i \left[(\nabla_x d_i)^2 + (\nabla_y d_i)^2\right], \qquad d_i = \log y_i - \log y_i^*$$
#
# with $\nabla_x d$ and $\nabla_y d$ the difference of $d$ to the next pixel on the right and below, $y$ the prediction, $y^*$ the truth, and $n$ the number of valid pixels. Three wrong answers to the same step:

# %%
step = torch.zeros(16)
step[8:] = 1.0
ramp = ((torch.arange(16) - 7.5) / 12 + 0.5).clamp(0, 1)
wrong = {
    "all too far": step + 0.25,
    "blurred": ramp,
    "one pixel off": step.roll(-1).index_fill(0, torch.tensor([15]), 1.0),
}
plots.show(
    fine.steps_figure(step, wrong),
    alt="A step in depth three times: an answer that is higher everywhere, a ramp, and a step one pixel too early.",
)

# %% [markdown]
# **Predict:** the squared error is (nearly) the same for all three. Which has the largest gradient loss, which the smallest?


# %%
def slopes(prediction, target, valid):
    d = prediction - target
    right = d[..., 1:] - d[..., :-1]
    return right.square().sum() / valid.sum()  # one row: there is nothing below


# %%
everywhere = torch.ones(1, 1, 1, 16, dtype=torch.bool)
print("answer            squared error   gradient loss   depth.gradient_loss")
for name, answer in wrong.items():
    pair = (answer.view(1, 1, 1, 16), step.view(1, 1, 1, 16), everywhere)
    squared, packaged = depth.scale_invariant_loss(*pair, 0.0), depth.gradient_loss(*pair)
    print(f"{name:15s} {squared:15.4f} {slopes(*pair):15.4f} {packaged:21.4f}")

# %% [markdown]
# "All too far" costs nothing: its slopes are right. The blurred step costs something. The sharp step in the **wrong place** costs most. So the gradient term asks for sharp edges only where the network knows their place; where it does not, blurring remains the cheaper answer. No loss that compares pixel by pixel escapes this.

# %%
weight = card.settings["gradient_weight"]
print(
    f"from the card: the shipped fine network was trained with a gradient term of weight {weight}"
)

# %% [markdown]
# The paper of 2014 has no such term, and the shipped network was trained without it, too. The training below has a place for it: set `weight = 0.5` in the cell above, and train again. (We tried: in so short a training the jumps and the errors come out the same, with and without.)

# %% [markdown]
# ### Live: the second stage
#
# About 30 seconds of training on 300 rooms, with augmentation as in lesson 06 and Muon from lesson 03. We watch 50 other rooms, neither trained on nor tested on, over all pixels and over the pixels **near edges**: within 2 pixels of a jump of the true depth (`depth.near_edges`).

# %%
watched_edges = depth.near_edges(watched_truth)


def validate(maps):
    masks = (watched_truth > 0, watched_edges)
    return [depth.measure(maps, watched_truth, mask)["rmse_log"] for mask in masks]


coarse_all, coarse_near = validate(depth.predict(model, watched)["coarse"])
print(
    f"coarse, RMSE log: all pixels {coarse_all:.3f}, near edges {coarse_near:.3f} (shipped weights)"
)

# %%
optimizer = training.Muon(student.fine.parameters(), lr=2e-3)  # the fine network's, no others
schedule = torch.optim.lr_scheduler.LambdaLR(
    optimizer, lambda step: training.cosine_schedule(step, steps=350, warm_up=20)
)
generator = torch.Generator().manual_seed(0)


# %%
def train_step():
    pictures, target, mask = depth.draw_batch(training_frames, depth.SMALL, 8, generator)
    with torch.no_grad():
        coarse = student.coarse(pictures)  # (8, 3, 114, 152) -> (8, 1, 26, 36)
    output = student.fine(pictures, coarse)  # -> (8, 1, 26, 36)
    loss = depth.scale_invariant_loss(output, target, mask)
    loss = loss + weight * depth.gradient_loss(output, target, mask)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()


# %% tags=["nbval-ignore-output", "live-training"]
before = {name: value.clone() for name, value in student.coarse.state_dict().items()}
curve = [(0, *validate(depth.predict(student, watched)["fine"]))]
for number in tqdm(range(1, 351), mininterval=1):
    train_step()
    if number % 70 == 0:
        curve.append((number, *validate(depth.predict(student, watched)["fine"])))

# %%
after = student.coarse.state_dict()
assert all(torch.equal(before[name], after[name]) for name in before), "stage one moved!"
assert not student.coarse.training, "dropout is on!"
print("the coarse network is bit for bit what it was: True")
trained = depth.predict(student, watched)
shares = [share_of_jumps(cells(trained[key]), cells(watched_truth)) for key in ("coarse", "fine")]
print("live training, on the 50 rooms:")
print("  fine makes more of the true jumps: ", shares[1] > 1.5 * shares[0])
print("  RMSE log at most 0.01 above coarse:", curve[-1][1] < coarse_all + 0.01)

# %% tags=["nbval-ignore-output", "live-training"]
steps, overall, at_edges = zip(*curve, strict=True)
curves = {"all pixels": overall, "near edges": at_edges}
dashed = {"all pixels": coarse_all, "near edges": coarse_near}
plots.show(
    fine.training_figure(steps, curves, dashed),
    alt="RMSE log over the steps of the second stage, for all pixels and near edges: both start above the dashed lines of the coarse network and fall.",
)

# %% [markdown]
# RMSE log moves by little, and up and down: the fine network inherits the coarse map's distances, right or wrong (section 3). The jumps grow. That is the second stage in a nutshell: **sharper, hardly nearer to the truth on average.**

# %% [markdown]
# ## 5. The result
#
# Now the shipped weights, which trained longer. As in the paper's figure 4, the rows are sorted by the **scale-invariant error** of the fine map, from the best of the hundred test rooms to the worst. Maps in a row share one colour scale.

# %%
print("from the card of the shipped weights:")
print(f"  trained by: {card.command}")
print(f"  computing time: {card.cpu_seconds / 60:.0f} minutes of a CPU core")

# %%
d = predicted["fine"].log() - truth.log()  # (100, 1, 120, 160)
errors = d.std(dim=(1, 2, 3), correction=0)  # (100,): of each picture the scale-invariant error
ranking = errors.argsort()
chosen = ranking[[0, 12, 25, 50, 75, 99]]

# %%
maps = {
    "coarse": predicted["coarse"][chosen],
    "fine": predicted["fine"][chosen],
    "truth": truth[chosen],
}
ranks = ("best", "12 %", "25 %", "median", "75 %", "worst")
notes = [f"{rank}\n{error:.2f}" for rank, error in zip(ranks, errors[chosen].tolist(), strict=True)]
plots.show(
    fine.rows_figure(images[chosen], maps, notes, width=11),
    alt="Six rooms from best to worst: the picture, the coarse map, a blur; the fine map, sharper and blotchy, with some outlines; the truth.",
)

# %% [markdown]
# The coarse map is a cloud that brightens towards the far wall. The fine map is sharper: look at the corner of the floor in the best room, at the window in the 75 % one, at the lamp in the worst. It is also blotchy, and small things, such as the chairs of the second row, are still missing. **Predict:** where is the fine map better, near edges or elsewhere, and by how much?

# %%
near = depth.near_edges(truth)
parts = {"near edges": near, "elsewhere": ~near, "all pixels": valid}
print(f"{100 * near.float().mean():.0f} % of the pixels lie near an edge")
print("RMSE log, measured now      coarse    fine")
for name, mask in parts.items():
    pair = [depth.measure(predicted[key], truth, mask)["rmse_log"] for key in ("coarse", "fine")]
    print(f"{name:24s} {pair[0]:9.3f} {pair[1]:7.3f}   {100 * (pair[1] / pair[0] - 1):+.0f} %")

# %%
print(f"RMSE log from the card, {card.metrics['rooms']['frames']} test rooms   coarse    fine")
for name, key in (("near edges", "edges"), ("elsewhere", "elsewhere")):
    numbers = [card.metrics["rooms"][key][network]["rmse_log"] for network in ("coarse", "fine")]
    print(f"{name:39s} {numbers[0]:.3f}   {numbers[1]:.3f}")
fine_share = share_of_jumps(cells(predicted["fine"]), cells(truth))
print(f"share of the true jumps: coarse {100 * coarse_share:.0f} %, fine {100 * fine_share:.0f} %")

# %% [markdown]
# A few percent, about the same near edges and elsewhere. The error hardly tells what the eye sees; the jumps do: the fine map makes several times as much of them as the coarse one, and still less than a quarter. Here is the row of section 1 again, and a room in which the second stage works well.

# %%
lines["fine"] = predicted["fine"][room, 0]
figure = fine.profile_figure(images[room], lines, row)
plots.show(
    figure,
    alt="The row of section 1 again: the fine map follows the steep sides of the lamp shade, which the coarse map rounds off.",
)

# %%
one = 63
wrong = {key: (predicted[key] / truth).log()[one].abs() for key in ("coarse", "fine")}
titles = {f"error of the {key} map": error for key, error in wrong.items()}
plots.show(
    fine.errors_figure(images[one], near[one], titles),
    alt="A room, the bands along its jumps of depth, and two error maps: in the coarse one the whole plant glows, in the fine one only its outline.",
)

# %% [markdown]
# ### It also paints
#
# An edge in the *picture* is often an edge in *depth*, so the fine network uses the one to find the other. But a poster on a wall has edges, too, and is flat. The paper admits that texture edges sometimes leak into its depth maps. We hang two posters onto a bare wall, by pasting pixels: a photograph and a white disc on black. The true depth stays what it is. **Predict** what the networks see.

# %%
bare, top, left = 54, 28, 36  # which room, and where to hang it, in pixels
photo = datasets.stereo_motorcycle().left  # (1, 3, 500, 741); hangs in no training room
motorcycle = F.interpolate(photo, size=(44, 64), mode="bicubic", antialias=True).clamp(0, 1)
v, u = torch.meshgrid(torch.arange(44), torch.arange(64), indexing="ij")
disc = 0.1 + 0.8 * ((v - 22) ** 2 + (u - 32) ** 2 < 18**2)  # (44, 64), gray

# %%
poster = (..., slice(top, top + 44), slice(left, left + 64))
hung = depth.to_unit(images[[bare, bare, bare]])
hung[1][poster] = motorcycle[0]
hung[2][poster] = disc
seen_with = depth.predict(model, hung)

# %%
maps = {key: seen_with[key] for key in ("coarse", "fine")} | {"truth": truth[[bare] * 3]}
notes = ["bare wall", "motorcycle", "disc"]
plots.show(
    fine.rows_figure(hung, maps, notes),
    alt="A room with a bare wall, with a photograph on it, and with a white disc on it. The photograph leaves traces in the fine map; the disc becomes a near object in both maps.",
)

# %%
print("in the poster's rectangle, log depth against the bare wall's (shipped weights)")
for key in ("coarse", "fine"):
    for number, name in ((1, "motorcycle"), (2, "disc")):
        change = (seen_with[key][number] / seen_with[key][0]).log()[poster]
        print(
            f"  {key:6s} {name:10s}  ups and downs {change.std():.2f}, nearest {change.min():+.2f}"
        )

# %% [markdown]
# The motorcycle leaves traces in the fine map, next to nothing in the coarse one: that is the leak of the paper. The disc fools **both**. One guess why: the training rooms have many lamps with bright shades in front of a wall, and the coarse network takes the disc for one; the fine network believes it and draws the outline. Nothing in the picture says "poster" or "lamp"; only experience does.
#
# ## 6. A room to walk around
#
# A depth map with a camera is a room. With $f_x, f_y$ the focal lengths and $c_x, c_y$ the principal point, all in pixels, the pixel in column $u$, row $v$ at depth $z$ shows the point
#
# $$x = \frac{u - c_x}{f_x}\, z, \qquad y = \frac{v - c_y}{f_y}\, z .$$

# %%
K = torch.from_numpy(raycaster.intrinsics(120, 160, rooms.FIELD_OF_VIEW))  # (3, 3)


def unproject(depth):  # (1, 120, 160) -> (19200, 3), metres
    v, u = torch.meshgrid(torch.arange(120), torch.arange(160), indexing="ij")
    rays = torch.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], torch.ones(120, 160)])
    return (rays * depth).flatten(1).T


# %%
one = 94  # try others
clouds = {"truth": unproject(truth[one]), "fine": unproject(predicted["fine"][one])}
colours = depth.to_unit(images[one]).flatten(1).T  # (3, 120, 160) -> (19200, 3)
plots.show(
    fine.cloud_figure(clouds, colours),
    alt="Two clouds of coloured points from three sides: the true room with straight walls, and the predicted one, bent and with furniture that melts into the wall.",
)

# %% [markdown]
# From the camera's own place both clouds would look like the picture: a wrong depth moves a point along its ray, and the camera cannot see that. From anywhere else you see what the network really said (drawn without perspective, the metres are true in all views): walls that bend, furniture that melts into what is behind it. Points between an object and the wall belong to nothing; they are the ramps of section 1, now as spray. (A cloud is the strictest picture of a depth map. Papers show it seldom.)
#
# ## 7. How much of the error is one number?
#
# Lesson 05 showed that a picture cannot tell a room from one twice as large. So let an **oracle** give each picture its best single factor, from the truth: `depth.align_scale` multiplies a prediction by $\exp\big(\frac1n\sum_i (\log y_i^* - \log y_i)\big)$, which brings the mean of $d$ to zero.
#
# **Predict.** In the paper, RMSE log is .28. What is it with the oracle?

# %%
print("RMSE log                       as it is   with the oracle   (abs rel: as it is, oracle)")
for key, maps in predicted.items():
    aligned = depth.align_scale(maps, truth, valid)
    m, oracle = depth.measure(maps, truth, valid), depth.measure(aligned, truth, valid)
    print(
        f"ours, {key:6s} (100 test rooms) {m['rmse_log']:8.3f} {oracle['rmse_log']:14.3f}"
        f"          {m['abs_rel']:.3f}   {oracle['abs_rel']:.3f}"
    )
print("paper, coarse + fine, NYU          .28            .22")
print("Make3D, in the paper, NYU          .41            .33")

# %% [markdown]
# A fifth of the paper's error is a single number a picture: **how large is this room?** Ours loses a fifth, too. The rest is shape. With the factor gone, what remains is nearly the scale-invariant error of section 10 (which pools over pictures instead of pixels).
#
# Networks for any photograph, MiDaS first among them, draw the consequence: they learn inverse depth *up to* scale and shift, and leave the numbers to somebody who has a ruler. Others claim metres again, but want to know the camera's focal length.

# %% [markdown]
# ## 8. Real photographs
#
# So far every room was rendered. The course ships a second network, `eigen-nyu`, trained on NYU Depth v2: real rooms, a real depth sensor. Of its 795 training pictures 715 were trained on; the others told when to stop. Both have the same architecture, and `eigen-nyu` started from the weights for rendered rooms.

# %%
nyu_card = checkpoints.load_card("eigen-nyu")
nyu_model, _ = checkpoints.load("eigen-nyu", depth.EigenDepth(**nyu_card.architecture))
networks = {"trained on rendered rooms": model, "trained on NYU": nyu_model}


# %%
def shrink(picture, mode="bicubic"):
    """Cut the middle out at 4 : 3 and shrink it: (1, C, H, W) -> (1, C, 120, 160)"""
    height, width = picture.shape[-2:]
    size = (min(height, width * 3 // 4), min(width, height * 4 // 3))
    smooth = {"antialias": True} if mode == "bicubic" else {}
    return F.interpolate(depth.centre_crop(picture, size), (120, 160), mode=mode, **smooth)


# %% [markdown]
# ### One with the truth
#
# The motorcycle of lesson 05 has true depth, from stereo. But its camera is not ours. After shrinking, its focal length is $995 \cdot 120 / 500 = 239$ pixels; the networks learned from cameras with 130. On the longer lens everything looks larger in the picture.
#
# **Predict:** will the networks say "too near" or "too far", and by which factor, if all else is right?

# %%
pair = datasets.stereo_motorcycle()
left = shrink(pair.left).clamp(0, 1)
bike = shrink(pair.depth, mode="nearest-exact")  # depth is never averaged
bike_valid = shrink(pair.valid.float(), mode="nearest-exact") > 0
focal = pair.focal_length * 120 / pair.left.shape[-2]

# %%
factor = focal / K[0, 0].item()
print(f"focal length: {focal:.0f} pixels here, {K[0, 0]:.0f} in training: factor {factor:.2f}")
said = {name: depth.predict(network, left)["fine"] for name, network in networks.items()}
for name, maps in said.items():
    oracle = depth.align_scale(maps, bike, bike_valid)
    print(f"{name}: the oracle's factor is {(oracle / maps).mean():.2f}; abs rel of the fine map")
    for way, version in (("as it is", maps), ("lens", factor * maps), ("oracle", oracle)):
        print(f"  {way:9s} {depth.measure(version, bike, bike_valid)['abs_rel']:.3f}")

# %%
aligned = {name: depth.align_scale(maps, bike, bike_valid) for name, maps in said.items()}
aligned["truth"] = torch.where(bike_valid, bike, torch.nan)
plots.show(
    fine.rows_figure(left, aligned, ["oracle's scale"], width=13),
    alt="A motorcycle in a workshop; two predicted depth maps, vague; the true depth, in which the motorcycle stands out.",
)

# %% [markdown]
# Things that are twice as large in the picture look twice as near, so a network that *measures* should need the factor $f_\text{here} / f_\text{training}$, which is known without any truth. Compare with the factor that the oracle asks for. The nearer that one is to 1 instead, the more the network **recites**: it answers with the distances that rooms usually have, whatever the picture's scale. Ours lean towards reciting. (The oracle sets the mean of log depth right, which need not lower abs rel. And the outline is missing: they have never seen a motorcycle.)

# %% [markdown]
# ### Three without
#
# For these photographs **there is no truth here: judge by eye**, and only near against far; the lenses are unknown, so the metres are a claim. None of the three is like the training pictures: a cup seen from close by, a portrait, a rocket under the open sky. (All three hang as small posters in some of the rendered training rooms, where they are flat. Here they fill the view.) A row shares one colour scale.

# %%
names = ["coffee", "astronaut", "rocket"]
photographs = torch.cat([shrink(datasets.photograph(name)).clamp(0, 1) for name in names])
claims = {name: depth.predict(network, photographs)["fine"] for name, network in networks.items()}
plots.show(
    fine.rows_figure(photographs, claims, [f"{name}\nno truth" for name in names], width=9),
    alt="A cup of coffee, an astronaut and a rocket, each with the depth that the two networks claim: one to three metres everywhere, with some outlines.",
)

# %% [markdown]
# Look at the colour bars. Whatever you show them, they answer with the distances of a **room**, one to three metres: for a cup on the table, and for the sky. Some outlines are right (the cup's rim), since the fine network follows edges anywhere. A network interpolates in the world of its training pictures; nothing in it says "I do not know this". (Lessons 11 to 15 are about that.)
#
# How wide is the gap from rendered to real rooms? It takes NYU's pictures to measure it. They cannot be shipped; the next cell runs where you have them.

# %% tags=["marked"]
# With NYU Depth v2 at hand (3 GB of download: python -m lessons_utils fetch nyu-depth-v2): True.
measure_live = False
if measure_live:
    nyu = datasets.nyu_depth("test")
    for name, network in networks.items():
        table = depth.evaluate(network, nyu, crop=True)
        for key in ("mean", "coarse", "fine"):
            m = table[key]
            print(f"{name}, {key:6s} abs rel {m['abs_rel']:.3f}, RMSE log {m['rmse_log']:.3f}")

# %% tags=["marked"]
# The same pictures, from best to worst, as in the paper's figure 4.
measure_live = False
if measure_live:
    pictures, exact, mask = datasets.nyu_depth("test")
    maps = depth.predict(nyu_model, pictures)
    d = torch.where(mask, maps["fine"] / exact, torch.nan).log().flatten(1)  # (654, pixels)
    errors = (d.square().nanmean(dim=1) - d.nanmean(dim=1).square()).sqrt()
    some = errors.argsort()[[0, 81, 163, 327, 490, 653]]
    rows = {"coarse": maps["coarse"][some], "fine": maps["fine"][some]}
    rows["truth"] = torch.where(mask, exact, torch.nan)[some]
    figure = fine.rows_figure(pictures[some], rows, [f"{error:.2f}" for error in errors[some]])
    plots.show(
        figure, alt="Six pictures of NYU from best to worst, with coarse, fine and true depth."
    )

# %% [markdown]
# ## 9. Try to break it
#
# Choose a room, choose whose coarse map the fine network gets, and how much of it: the map, which is log depth, is multiplied by your number before it goes in.
#
# **Question.** Take away the room's own map, bit by bit. When is the answer worse than with the whole mean picture? In which rooms does 90 % do *better* than 100 %, and why? Then give a room the map of another one: is any wrong map as bad as none at all (0 %)?

# %% tags=["explorer"]
guests = tuple(part[[63, 4, 58, 89, 24, 66]] for part in test_frames)
fine.borrowed_map(model, guests)

# %% [markdown]
# <details><summary>Answer</summary>
#
# At 80 % in every room (in rooms 3 and 4 the mean picture beats even the whole own map: there the coarse network was misled). Log depth times 0.8 pulls everything towards 1 metre, the far parts most, and the fine network believes it. Rooms 3, 4 and 5 do better with 90 %: the coarse map was too far there, in room 4 at the back wall, and the smaller number happens to repair its scale (section 7). No borrowed map is as bad as none: rooms resemble each other more than any of them resembles a wall at 1 metre.
# </details>

# %% [markdown]
# ## 10. Paper versus ours
#
# NYU Depth v2, the 654 test pictures of the official split (the paper prints 694). The paper's numbers are as published, its table 1; ours come from the card of `eigen-nyu`. Rooms are another world with another table: **never compare across the two**.

# %%
paper = {
    "delta1": (0.418, 0.618, 0.611),
    "delta2": (0.711, 0.891, 0.887),
    "delta3": (0.874, 0.969, 0.971),
    "abs_rel": (0.408, 0.228, 0.215),
    "sqr_rel": (0.581, 0.223, 0.212),
    "rmse": (1.244, 0.871, 0.907),
    "rmse_log": (0.430, 0.283, 0.285),
    "scale_invariant": (0.304, 0.221, 0.219),
}
methods = ("mean", "coarse", "fine")


# %%
def ours(metrics):
    return {name: tuple(metrics[method][name] for method in methods) for name in depth.METRICS}


def line(values):
    return "".join(f"{value:9.3f}" for value in values)


# %%
on_nyu, on_rooms = ours(nyu_card.metrics["nyu"]), ours(card.metrics["rooms"])
print(f"{'':17s}{'NYU, the paper':^27s}   {'NYU, ours (card)':^27s}   {'rooms, ours (card)':^27s}")
print(" " * 17 + (("{:>9s}" * 3).format("mean", "coarse", "+ fine") + "   ") * 3)
for name in depth.METRICS:
    print(f"{name:17s}{line(paper[name])}   {line(on_nyu[name])}   {line(on_rooms[name])}")

# %%
print("what the fine stage changes, in % of the coarse network's number (minus is better)")
for name in ("abs_rel", "rmse", "rmse_log", "scale_invariant"):
    changes = [100 * (table[name][2] / table[name][1] - 1) for table in (paper, on_nyu, on_rooms)]
    print(
        f"{name:17s} paper {changes[0]:+5.1f}   ours on NYU {changes[1]:+5.1f}   on rooms {changes[2]:+5.1f}"
    )
tables = (nyu_card.metrics["nyu"]["edges"], card.metrics["rooms"]["edges"])
edges = [100 * (table["fine"]["rmse_log"] / table["coarse"]["rmse_log"] - 1) for table in tables]
print(f"rmse_log at edges               ours on NYU {edges[0]:+5.1f}   on rooms {edges[1]:+5.1f}")

# %% [markdown]
# **What the paper found** deserves attention, and it says so itself: on NYU the fine stage does *not* improve the numbers across the board. Abs rel falls a little, RMSE gets worse. Ours on NYU agrees: nothing moves by more than two or three percent. What the stage improves is the sharpness of boundaries, and pixels near boundaries are a small part of a picture, where a sharp edge in the wrong place costs more than a blur (section 4). That a table and your eyes disagree is no contradiction: the table asks another question.
#
# **Why ours differ.** The paper: 120,000 frames from NYU's raw video, first layers from ImageNet, 304 × 228 pixels, 71 million weights. Ours on NYU: 715 labelled frames (in our copy, depth comes in steps of 4 cm), a start from rendered rooms instead of ImageNet, half the resolution, a scaled-down network, minutes of CPU time. Our *mean* column should, and does, come close to theirs: it depends on the data and the protocol alone, and so tells that both are as in the paper. On rooms, a simpler world with exact depth and more pictures, the fine stage improves every row a little.

# %% [markdown]
# ## 11. What goes wrong in practice
#
# **The frozen network that still learns, or still rolls dice.** A user of a public reimplementation reported "frozen" coarse weights that were still trainable. It is easily done: pass `model.parameters()` to the optimiser, forget `no_grad` and `eval`. Nothing fails; the loss even falls. First the dice:

# %%
torch.manual_seed(0)
student.coarse.train()  # the mistake: dropout is on
coarse_twice = [student.coarse(everything[[0]]).exp() for _ in range(2)]
off = (coarse_twice[0] / coarse_twice[1] - 1).abs().mean()
student.coarse.eval()
again = torch.equal(student.coarse(everything[[0]]), student.coarse(everything[[0]]))
print(f"train mode, the same picture twice: depths differ by {100 * off:.0f} % on average")
print("eval mode, the same picture twice: equal:", again)

# %% [markdown]
# Now the weights. **Predict:** twenty careless steps with the fine network's learning rate. What has become of the coarse map?

# %% tags=["live-training", "nbval-ignore-output"]
student.requires_grad_(True)
careless = torch.optim.Adam(student.parameters(), lr=1e-3)  # the mistake: all parameters
for _ in range(20):
    pictures, target, mask = depth.draw_batch(training_frames, depth.SMALL, 8, generator)
    loss = depth.scale_invariant_loss(student(pictures)[1], target, mask)  # of the fine map only
    careless.zero_grad()
    loss.backward()
    careless.step()

# %%
spoilt = depth.predict(student, watched)["coarse"]
moved = any(
    not torch.equal(before[name], value) for name, value in student.coarse.state_dict().items()
)
print("did the coarse weights move?", moved)
print("is the coarse map worse than before?", validate(spoilt)[0] > coarse_all)

# %% [markdown]
# The loss looks only at the fine map, so nothing keeps the coarse output a depth map. It becomes one more feature map, and a "coarse" row measured before describes a network that no longer exists. **One assertion guards against it**, and you saw it in section 4: compare the weights before and after.
#
# **The same predictions, other tables.** Metrics are pooled over all pixels of all pictures; averaging them per picture is another number. "RMSE log" without the root stands in public code, too. And it is tempting to leave out pictures that "failed". One set of depth maps, four versions:

# %%
pooled = depth.measure(predicted["fine"], truth, valid)["rmse_log"]
single = [
    depth.measure(predicted["fine"][[i]], truth[[i]], valid[[i]])["rmse_log"] for i in range(100)
]
print(f"RMSE log, pooled as in the paper:   {pooled:.3f}")
print(f"averaged over pictures:             {sum(single) / 100:.3f}")
print(f"without the root:                   {pooled**2:.3f}")
print(f"best 80 of the 100 pictures only:   {sum(sorted(single)[:80]) / 80:.3f}")

# %% [markdown]
# **The split that leaks.** The frames of NYU lie in the file by scene; neighbours show the same room, from a step aside. Cut it at a frame of your choice, and a room may lie on both sides; shuffle it first, and many do: the network may recognise the *room* and remember its depth. A public reimplementation cut the file its own way and set its numbers beside the paper's, which come from other pictures. Use the official split; for data of your own, split by place, never by frame. (Our rooms: one frame a room, so that it cannot happen.)

# %% [markdown]
# ## Summary
#
# - A fine network of convolutions sees a small window; the coarse map, one more channel, tells it how far everything is, and it adds where things end.
# - Two stages: the first one stands still, without gradient, without dropout, and an assertion says so.
# - The fine stage sharpens edges and can leave the table as it was; a fifth of the error is one factor a picture, and no picture tells it.
#
# **Next:** [08 · Rigid flow](08_rigid_flow.ipynb): a camera moves, and depth becomes motion.
#
# **Reading.** Eigen, Fergus, *Predicting Depth, Surface Normals and Semantic Labels with a Common Multi-Scale Convolutional Architecture* (ICCV 2015): a third, finer scale, a deeper first one, and the gradient term. Laina et al., *Deeper Depth Prediction with Fully Convolutional Residual Networks* (FCRN, 3DV 2016): one ResNet without fully connected layers, upsampled by learned blocks. Ranftl et al., *Towards Robust Monocular Depth Estimation* (MiDaS, TPAMI 2022): many data sets mixed, by a loss that ignores each picture's scale and shift. Yang et al., *Depth Anything* (CVPR 2024): a teacher labels 62 million photographs, and a student learns from them.
