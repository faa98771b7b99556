"""For each exercise of the course, answers that students give and that are wrong, each with the hint that it
must get.

`WRONG["notebook.function"]` holds pairs: the lines of the function's body, and a part of the hint.
`ALSO_RIGHT` holds other ways to write the right one. A new exercise needs at least three wrong answers here;
test_exercises_of_notebooks.py asks for them.
"""

WRONG: dict[str, list[tuple[str, str]]] = {
    "00_start_here.my_squared_error": [
        ("return np.square(predicted - truth).mean()", "uint8 wraps around"),
        ("return np.square((predicted - truth).astype(float)).mean()", "taken in uint8"),
        ("return np.abs(predicted.astype(float) - truth).mean()", "square them"),
        ("return np.square(predicted.astype(float) - truth)", "One number is wanted"),
    ],
    "00_start_here.my_copy": [
        ("return torch.cat((ab, l))", "L comes first"),
        ("return torch.cat((l, ab.flip(0)))", "L comes first, then a, then b"),
        ("return l, ab", "returns a tuple, where a tensor is wanted"),
        ("return torch.stack((l, ab))", "stops with RuntimeError"),
        ("return np.concatenate((l, ab))", "returns a numpy array, where a tensor is wanted"),
    ],
    "01_lab_color.my_lightness": [
        ("r, g, b = rgb\nreturn 116 * f(0.212671 * r + 0.715160 * g + 0.072169 * b) - 16", "undo the gamma"),
        ("r, g, b = to_linear(rgb)\nreturn 1.16 * f(0.212671 * r + 0.715160 * g + "
         "0.072169 * b) - 0.16", "from 0 to 100"),
        ("return 116 * f(to_linear(rgb).mean(0)) - 16", "red, green and blue alike"),
        ("r, g, b = to_linear(rgb)\nreturn 100 * (0.212671 * r + 0.715160 * g + 0.072169 * b)",
         "luminance Y"),
        ("return 116 * f(M[1:2] @ to_linear(rgb).flatten(1)).view(1, *rgb.shape[1:]) - 16",
         "the same number of values, arranged otherwise"),
        ("r, g, b = to_linear(rgb)\nreturn 116 * f(0.212671 * r + 0.715160 * g + 0.072169 * b)",
         "+16 off everywhere"),
    ],
    "01_lab_color.my_turn": [
        ("angle = np.deg2rad(degrees)\na, b = ab\nreturn torch.stack((np.cos(angle) * a + "
         "np.sin(angle) * b, np.cos(angle) * b - np.sin(angle) * a))", "other way round"),
        ("a, b = ab\nreturn torch.stack((np.cos(degrees) * a - np.sin(degrees) * b, "
         "np.sin(degrees) * a + np.cos(degrees) * b))", "want radians"),
        ("angle = np.deg2rad(degrees)\na, b = ab\nreturn torch.stack((np.cos(angle) * a + "
         "np.sin(angle) * b, np.sin(angle) * a + np.cos(angle) * b))", "The chroma changed"),
        ("angle = np.deg2rad(degrees)\na, b = ab\nreturn torch.stack((np.sin(angle) * a + "
         "np.cos(angle) * b, np.cos(angle) * a - np.sin(angle) * b))", "axis 0 runs the other way"),
    ],
    "01_lab_color.my_chroma": [
        ("return ab.pow(2).sum(0).sqrt()", "One number is wanted"),
        ("return ab.pow(2).sum(0).mean().sqrt()", "Root first"),
        ("return ab.abs().sum(0).mean()", "way along the axes"),
    ],
    "02_correspondence_warping.my_mutual": [
        ("return correlation.argmax(0) == correlation.argmax(1)", "two best matches of one number"),
        ("there = correlation.argmax(1)\nreturn there[there] == torch.arange(len(there))",
         "stand in the columns"),
        ("return correlation.argmax(0)[correlation.argmax(1)]", "Is it the position that one set out from?"),
        ("return (correlation.argmax(0)[correlation.argmax(1)] == "
         "torch.arange(len(correlation))).float().mean()", "One answer for each position"),
        ("return correlation.amax(1)", "not how similar"),
    ],
    "02_correspondence_warping.my_top_k": [
        ("return (correlation / temperature).softmax(1) @ reference_ab", "mixes all positions"),
        ("kept, places = (correlation / temperature).softmax(1).topk(k, 1)\nreturn "
         "(kept[..., None] * reference_ab[places]).sum(1)", "a softmax of their own"),
        ("return reference_ab[correlation.topk(k, 1).indices].mean(1)", "count alike"),
        ("best, places = correlation.topk(k, 1, largest=False)\nreturn ((best / "
         "temperature).softmax(1)[..., None] * reference_ab[places]).sum(1)", "the k worst matches"),
        ("return reference_ab[correlation.argmax(1)]", "single best match"),
    ],
    "02_correspondence_warping.my_entropy": [
        ("return -(weights * weights.log()).sum(-1)", "0 times log 0"),
        ("return torch.special.xlogy(weights, weights).sum(-1)", "never negative"),
        ("return -torch.special.xlogy(weights, weights).sum(-1) / torch.tensor(2.0).log()", "in bits"),
        ("return -torch.special.xlogy(weights, weights).sum()", "One number for each row"),
    ],
    "03_sca_cosine_features.my_similarity": [
        ("return F.cosine_similarity(attended, embedded, dim=1)", "compared with themselves"),
        ("return F.cosine_similarity(attended, embedded.roll(1, 0), dim=1)", "the channel before"),
        ("return (attended * embedded.roll(-1, 0)).sum(1)", "divide by both lengths"),
        ("return F.cosine_similarity(attended, embedded.roll(-1, 0), dim=1).unsqueeze(1)",
         "arranged otherwise"),
    ],
    "03_sca_cosine_features.my_histogram": [
        ("return F.one_hot(levels.long() * bins // 256, bins).float().mean((1, "
         "2)).mul(bins).flatten()", "Is the square root taken?"),
        ("return F.one_hot(levels.long() * bins // 256, bins).float().mean((1, "
         "2)).sqrt().flatten()", "multiplied by the number of bins"),
        ("return F.one_hot(levels.long() * bins // 256, bins).float().mean((1, 2)).flatten()",
         "Those are shares"),
        ("return F.one_hot(levels.long() * bins // 256, bins).float().mean((1, "
         "2)).mul(bins).sqrt().T.flatten()", "all bins of R come first"),
        ("return F.one_hot(levels * bins // 256, bins).float().mean((1, "
         "2)).mul(bins).sqrt().flatten()", "stops with RuntimeError"),
    ],
    "03_sca_cosine_features.fewer_parameters": [
        ("return 9 * sca_features", "1 x 1, not 3 x 3"),
        ("return sca_features + 1", "A bias belongs to an output"),
        ("return 0", "something must read it"),
        ("return sca_features ** 2", "one input more"),
    ],
    "04_long_term_dependency.my_store": [
        ("return (state @ tokens.T / tokens.shape[-1] ** 0.5).softmax(-1) @ tokens",
         "Is the old state itself kept"),
        ("return tokens + (tokens @ state.T / tokens.shape[-1] ** 0.5).softmax(-1) @ state",
         "the state asks the block"),
        ("return state + (state @ tokens.T).softmax(-1) @ tokens", "divided by the root of d"),
        ("return state + (state @ tokens.T / tokens.shape[-1] ** 0.5).softmax(0) @ tokens",
         "the *state* and sums to one"),
        ("return state + (state @ tokens / tokens.shape[-1] ** 0.5).softmax(-1) @ tokens",
         "stops with RuntimeError"),
    ],
    "04_long_term_dependency.my_read_with_zero": [
        ("return (tokens @ state.T / tokens.shape[-1] ** 0.5).softmax(-1) @ state",
         "does a zero key stand among them"),
        ("padded = F.pad(state, (0, 0, 0, 1))\n"
         "return tokens + (tokens @ padded.T / tokens.shape[-1] ** 0.5).softmax(-1) @ padded",
         "tokens themselves are not added"),
        ("padded = F.pad(state, (0, 0, 0, 1))\nreturn (tokens @ padded.T).softmax(-1) @ padded",
         "divided by the root of d"),
    ],
    "04_long_term_dependency.my_attention_floats": [
        ("return heads * (N * (H // 8) * (W // 8)) ** 2", "The reference is a frame"),
        ("return ((N + 1) * (H // 8) * (W // 8)) ** 2", "a map of its own"),
        ("return heads * (N + 1) * (H // 8) * (W // 8)", "the square of their number"),
        ("return heads * ((N + 1) * H * W) ** 2", "an eighth of the film"),
    ],
    "05_memory_propagation.my_read": [
        ("return (-shrinkage / key.shape[1] ** 0.5 * (selection * (key - query) ** "
         "2).sum(-1)).softmax(-1) @ value", "over the best k only"),
        ("best, place = (-shrinkage * (selection * (key - query) ** "
         "2).sum(-1)).topk(k)\nreturn best.softmax(-1) @ value[place]", "root of the number of channels"),
        ("best, place = (shrinkage / 2 * (selection * (key - query) ** "
         "2).sum(-1)).topk(k)\nreturn best.softmax(-1) @ value[place]", "a minus sign?"),
        ("best, place = (-shrinkage / 2 * ((selection * (key - query)) ** "
         "2).sum(-1)).topk(k)\nreturn best.softmax(-1) @ value[place]", "not squared itself"),
    ],
    "05_memory_propagation.my_compress": [
        ("return entries.value[(entries.use / entries.life).topk(count).indices]", "survivors' own values"),
        ("chosen = entries.use.topk(count).indices\nreturn similarity(entries.key, "
         "entries.shrinkage, entries.key[chosen], entries.selection[chosen]).softmax(-1) "
         "@ entries.value", "Is use divided by life?"),
        ("chosen = (entries.use / entries.life).topk(count, largest=False).indices\n"
         "return similarity(entries.key, entries.shrinkage, entries.key[chosen], "
         "entries.selection[chosen]).softmax(-1) @ entries.value", "read least"),
        ("chosen = (entries.use / entries.life).argsort()[-count:]\nreturn "
         "similarity(entries.key, entries.shrinkage, entries.key[chosen], "
         "entries.selection[chosen]).softmax(-1) @ entries.value", "axis 0 runs the other way"),
    ],
    "05_memory_propagation.my_bound": [
        ("return max_mid_frames * cells + max_long", "A tenth frame"),
        ("return (max_mid_frames - 1) * cells", "earlier compressions"),
        ("return max_long", "recent frames are in the memory too"),
        ("return max_mid_frames + max_long", "each with all its cells"),
    ],
    "06_automatic_reference.my_frame_by_frame": [
        ("return paint(l[:1]).expand(len(l), -1, -1, -1)", "colours of the first"),
        ("return torch.stack([paint(frame[None]) for frame in l])", "arranged otherwise"),
        ("return [paint(frame[None]) for frame in l]", "returns a list, where a tensor is wanted"),
        ("return torch.cat([torch.cat((frame[None], paint(frame[None])), 1) for frame in l])",
         "no L beside it"),
    ],
    "06_automatic_reference.my_eight_bits": [
        ("return rgb_to_lab((lab_to_rgb(lab) * 255).round() / 255)", "cut off, or rounded"),
        ("return rgb_to_lab(lab_to_rgb(lab))", "where are the whole levels"),
        ("return (lab_to_rgb(lab) * 255).floor() / 255", "back to Lab"),
        ("return rgb_to_lab(lab_to_rgb(lab).floor())", "All black, or white"),
        ("return rgb_to_lab((lab_to_rgb(lab) * 255).floor() / 255)", "Begin with lab.double()"),
        ("return rgb_to_lab((lab_to_rgb(lab) * 255).byte())",
         "stops with ValueError: rgb_to_lab wants RGB in [0, 1]"),
    ],
    "06_automatic_reference.my_likeness": [
        ("return collection @ l", "lies in [-1, 1]"),
        ("return F.cosine_similarity(collection, l[None])", "mean subtracted"),
        ("return F.cosine_similarity(collection - collection.mean(0), (l - l.mean())[None])",
         "over its own pixels"),
        ("l, collection = l - l.mean(), collection - collection.mean(-1, keepdim=True)\n"
         "return (collection @ l / (collection.norm(dim=-1) * l.norm())).argmax()", "Its shape is ()"),
    ],
    "07_training.my_temporal": [
        ("return (visible * (warp(next_ab, flow) - ab)).abs().sum() / "
         "visible.expand_as(ab).sum()", "runs over all pixels"),
        ("return (visible * (warp(ab, flow) - next_ab)).abs().mean()", "next frame is the one to be warped"),
        ("return (visible * (warp(next_ab, flow) - ab)).mean()", "absolute values, please"),
        ("return (warp(next_ab, flow) - ab).abs().mean()", "count as no error"),
        ("return (visible * (warp(next_ab, flow) - ab)).square().mean()", "not squares"),
    ],
    "07_training.my_judge": [
        ("return (((real - fake.mean() + 1) ** 2).mean() + ((fake - real.mean() - 1) ** "
         "2).mean()) / 2", "colorizer's signs"),
        ("return (((real - 1) ** 2).mean() + ((fake + 1) ** 2).mean()) / 2", "mean of the other"),
        ("return ((real - fake.mean() - 1) ** 2).mean() + ((fake - real.mean() + 1) ** 2).mean()",
         "it is 2 times the answer"),
        ("return ((real - fake.mean() - 1) ** 2 + (fake - real.mean() + 1) ** 2) / 2",
         "One number is wanted"),
    ],
    "07_training.my_average": [
        ("mean = weights[0]\nfor weight in weights[1:]:\n    mean = (1 - keep) * mean + "
         "keep * weight\nreturn mean", "share of the old mean"),
        ("return weights.mean()", "forgets nothing"),
        ("mean = 0\nfor weight in weights:\n    mean = keep * mean + (1 - keep) * "
         "weight\nreturn mean", "Start at the first number"),
    ],
    "08_metrics.my_psnr": [
        ("return 10 * np.log10(255**2 / np.square(predicted - truth).mean())", "still uint8"),
        ("error = predicted.astype(float) - truth\nreturn 10 * np.log10(255 / "
         "(error**2).mean() ** 0.5)", "Half of it"),
        ("error = predicted.astype(float) - truth\nreturn 10 * np.log(255**2 / "
         "(error**2).mean())", "natural logarithm"),
        ("error = predicted.astype(float) - truth\nreturn 10 * np.log10(1 / (error**2).mean())", "The peak"),
    ],
    "08_metrics.my_js": [
        ("m = (p + q) / 2\nreturn ((p * np.log(p / m)).sum() + (q * np.log(q / m)).sum()) / 2",
         "leave empty bins out"),
        ("m = (p + q) / 2\nreturn (sum((h[h > 0] * np.log(h[h > 0] / m[h > 0])).sum() for "
         "h in (p, q)) / 2) ** 0.5", "its square root"),
        ("m = (p + q) / 2\nreturn sum((h[h > 0] * np.log2(h[h > 0] / m[h > 0])).sum() for "
         "h in (p, q)) / 2", "base 2"),
        ("m = (p + q) / 2\nreturn sum((h[h > 0] * np.log(h[h > 0] / m[h > 0])).sum() for "
         "h in (p, q))", "2 times the answer"),
    ],
    "08_metrics.my_cdc": [
        ("return np.mean(sum(divergence.values(), []))", "All pairs are pooled"),
        ("return np.mean(divergence[1])", "first lag alone"),
        ("return np.sum([np.mean(values) for values in divergence.values()])", "3 times the answer"),
        ("return np.array([np.mean(values) for values in divergence.values()])", "One number is wanted"),
    ],
    "08_metrics.my_frechet": [
        ("return ((mean_x - mean_y) ** 2).sum() + ((variance_x - variance_y) ** 2).sum()",
         "not of standard deviations"),
        ("return ((variance_x**0.5 - variance_y**0.5) ** 2).sum()", "And the distance of the means?"),
        ("return ((mean_x - mean_y) ** 2).sum()", "And the spreads?"),
        ("return (((mean_x - mean_y) ** 2).sum() + ((variance_x**0.5 - variance_y**0.5) "
         "** 2).sum()) ** 0.5", "FID is the square"),
    ],
    "08_metrics.my_colorfulness_gap": [
        ("return abs(metrics.colorfulness(predicted) - metrics.colorfulness(truth))",
         "Relative to the truth"),
        ("return abs(metrics.colorfulness(truth) / metrics.colorfulness(predicted) - 1)",
         "Divided by the wrong one"),
        ("return metrics.colorfulness(predicted) / metrics.colorfulness(truth)", "how far is it from 1?"),
        ("return metrics.colorfulness(predicted) / metrics.colorfulness(truth) - 1",
         "The sign is turned round"),
    ],
    "09_compare.my_bootstrap": [
        ("return np.quantile(values, (0.025, 0.975))", "not of their means"),
        ("rng = np.random.default_rng(seed)\nmeans = values[rng.integers(len(values), "
         "size=(samples, len(values)))].mean(1)\nreturn np.quantile(means, (0.05, 0.95))", "not 5 %"),
        ("rng = np.random.default_rng(seed)\nmeans = values[rng.integers(len(values), "
         "size=(samples, len(values)))].mean(1)\nreturn np.quantile(means, (0.975, 0.025))",
         "axis 0 runs the other way"),
        ("return np.mean(values)", "Its shape is ()"),
    ],
    "09_compare.my_paired_low": [
        ("return compare.bootstrap(np.subtract(a, b), seed).low", "B minus A"),
        ("return compare.bootstrap(np.subtract(b, a), seed)", "One number is wanted"),
        ("return compare.bootstrap(np.subtract(b, a), seed).high", "too large"),
    ],
    "09_compare.my_two_means": [
        ("return np.mean([film.mean() for film in films]), np.concatenate(films).mean()", "frames first"),
        ("return np.concatenate(films).mean()", "Its shape is ()"),
        ("return [film.mean() for film in films]", "Its values run from 28 to 40"),
    ],
    "10_ablations.my_saving": [
        ("return sum(p.numel() for p in row.parameters()) - sum(p.numel() for p in "
         "full.parameters())", "Full minus row"),
        ("return len(list(full.parameters())) - len(list(row.parameters()))", "too small"),
        ("return sum(p.numel() for p in full.parameters())", "too large"),
    ],
    "10_ablations.my_share": [
        ("return (kept * cells + prototypes * compressions) / (frames * cells)", "before it is read"),
        ("return 100 * ((kept - 1) * cells + prototypes * compressions) / (frames * cells)",
         "100 times the answer"),
        ("return (kept - 1) / frames", "too small"),
        ("return (kept - 1) * cells + prototypes * compressions", "too large"),
    ],
    "10_ablations.my_agreement": [
        ("pairs = [(i, j) for i in range(len(quoted)) for j in range(i)]\nreturn "
         "sum((quoted[i] > quoted[j]) == (measured[i] > measured[j]) for i, j in pairs) / len(pairs)",
         "equal quoted values do not count"),
        ("pairs = [(i, j) for i in range(len(quoted)) for j in range(i) if quoted[i] != "
         "quoted[j]]\nreturn sum((quoted[i] > quoted[j]) != (measured[i] > measured[j]) "
         "for i, j in pairs) / len(pairs)", "too small"),
        ("pairs = [(i, j) for i in range(len(quoted)) for j in range(i) if quoted[i] != "
         "quoted[j]]\nreturn sum((quoted[i] > quoted[j]) == (measured[i] > measured[j]) "
         "for i, j in pairs)", "too large"),
    ],
    "11_your_own_film.my_cuts": [
        ("return [n for n, value in enumerate(changes) if value > threshold]",
         "A flash, two changes side by side"),
        ("return [n for n, value in enumerate(changes)\n        if value > threshold and "
         "value > prominence * max(changes[max(0, n - reach):n + 1 + reach])]", "not one of its neighbours"),
        ("return [value > threshold for value in changes]", "Its shape is (15,)"),
        ("around = lambda n: changes[max(0, n - reach):n] + changes[n + 1:n + 1 + reach]\n"
         "return [n + 1 for n, value in enumerate(changes) if value > threshold and value "
         "> prominence * max(around(n), default=0)]", "first frame of the new scene"),
    ],
    "11_your_own_film.my_whole": [
        ("return alpha * known + (1 - alpha.float()) * predicted", "as a share it lies in [0, 1]"),
        ("share = alpha.float() / 255\nreturn share * predicted + (1 - share) * known", "exchanged"),
        ("return torch.where(alpha > 0, known, predicted)", "mix, do not choose"),
        ("return torch.where(alpha > 127, known, predicted)", "mix, do not choose"),
    ],
    "12_your_own_method.my_look_up": [
        ("return (query @ key.T / temperature).softmax(-1) @ values", "take the best k only"),
        ("best, index = (query @ key.T).topk(k, -1)\nweights = (best * "
         "temperature).softmax(-1)\nreturn (values[index] * weights[..., None]).sum(1)",
         "The temperature divides"),
        ("weights, index = (query @ key.T / temperature).softmax(-1).topk(k, -1)\nreturn "
         "(values[index] * weights[..., None]).sum(1)", "must sum to one"),
        ("return values[(query @ key.T).argmax(-1)]", "single best cell"),
    ],
    "12_your_own_method.my_trust": [
        ("return torch.exp(-((found_l - l) / sigma) ** 2)", "One half stands in the exponent"),
        ("return torch.exp(-((found_l - l) ** 2) / sigma / 2)", "divided by σ before it is squared"),
        ("return torch.exp(-((found_l - l) / sigma).abs() / 2)", "The difference is squared"),
        ("return torch.exp(((found_l - l) / sigma) ** 2 / 2)", "is there a minus sign"),
    ],
    "12_your_own_method.my_washed_out": [
        ("return (ab.norm(dim=0) < true_ab.norm(dim=0) / 2).float().mean()",
         "Count only pixels whose true chroma is above 10"),
        ("ours, theirs = ab.norm(dim=0), true_ab.norm(dim=0)\ncolored = theirs > 10\n"
         "return (ours[colored] > theirs[colored] / 2).float().mean()", "Less than half the truth's"),
        ("return ab.norm(dim=0).sum() / true_ab.norm(dim=0).sum()", "not of chroma"),
        ("ours, theirs = ab.norm(dim=0), true_ab.norm(dim=0)\ncolored = theirs > "
         "10\nreturn ours[colored] < theirs[colored] / 2", "One number is wanted"),
    ],
}

ALSO_RIGHT: dict[str, list[str]] = {
    "00_start_here.my_squared_error": [
        "difference = predicted.astype(int) - truth\nreturn float((difference ** 2).mean())"
    ],
    "01_lab_color.my_chroma": ["return float(torch.hypot(*ab).mean())"],
    "02_correspondence_warping.my_mutual": [
        "best = correlation.argmax(1)\nreturn torch.stack([correlation[:, j].argmax() == "
        "i for i, j in enumerate(best)])"
    ],
    "02_correspondence_warping.my_top_k": [
        "worst = correlation.topk(k, 1).values[:, -1:]\nreturn "
        "(correlation.masked_fill(correlation < worst, -float('inf')) / "
        "temperature).softmax(1) @ reference_ab"
    ],
    "03_sca_cosine_features.my_histogram": [
        "counts = [torch.bincount((channel.long() * bins // 256).flatten(), "
        "minlength=bins) for channel in levels]\nreturn (torch.cat(counts) / "
        "levels[0].numel() * bins).sqrt()"
    ],
    "06_automatic_reference.my_frame_by_frame": ["return paint(l)"],
    "06_automatic_reference.my_eight_bits": [
        "levels = torch.floor(255 * lab_to_rgb(lab.double())) / 255\nreturn "
        "rgb_to_lab(levels).float()"
    ],
    "06_automatic_reference.my_likeness": ["return torch.corrcoef(torch.cat((l[None], collection)))[0, 1:]"],
    "08_metrics.my_psnr": [
        "rmse = np.square(np.float64(predicted) - truth).mean() ** 0.5\nreturn 20 * "
        "np.log10(255 / rmse)"
    ],
}
