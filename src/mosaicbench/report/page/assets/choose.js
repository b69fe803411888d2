"use strict";
// Scores of the datasets, metrics, runs and weights that the reader chooses. The first half computes
// what tests/choice_of_scores.py does, from the same scaled scores; the second half draws it.
const choice = (() => {
  const EQUAL = 1e-12;
  const STEPS = 30;
  const RESAMPLES = 1000;
  const HALVINGS = 50;
  const sum = (values) => values.reduce((total, x) => total + x, 0);
  const range = (n) => [...Array(n).keys()];

  // --- Student's t ---

  const LANCZOS = [0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313,
    -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7];
  const logGamma = (x) => {
    const base = x + 6.5;
    const series = LANCZOS.reduce((total, c, i) => total + (i ? c / (x - 1 + i) : c), 0);
    return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(base) - base + Math.log(series);
  };
  // The regularised incomplete beta function, by Lentz's continued fraction.
  const beta = (x, a, b) => {
    if (x > (a + 1) / (a + b + 2)) return 1 - beta(1 - x, b, a);
    const front = Math.exp(a * Math.log(x) + b * Math.log1p(-x) + logGamma(a + b) - logGamma(a) - logGamma(b)) / a;
    let [f, c, d] = [1, 1, 0];
    for (let i = 0; i < 500; i++) {
      const m = i >> 1;
      let term = 1;
      if (i && i % 2 === 0) term = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
      else if (i) term = -((a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
      d = 1 / (1 + term * d);
      c = 1 + term / c;
      f *= c * d;
      if (i && Math.abs(c * d - 1) < 1e-16) break;
    }
    return front * (f - 1);
  };
  // The 97.5 % quantile: the tail beyond it falls, so Newton's steps in its logarithm end there.
  const quantile = (degrees) => {
    if (Number.isNaN(degrees)) return NaN;
    const density = Math.exp(logGamma((degrees + 1) / 2) - logGamma(degrees / 2)) / Math.sqrt(degrees * Math.PI);
    let t = 1.96;
    for (let i = 0; i < 100; i++) {
      const tail = 0.5 * beta(degrees / (degrees + t * t), degrees / 2, 0.5);
      const slope = density * (1 + t * t / degrees) ** (-(degrees + 1) / 2);
      const next = t * Math.exp(tail * Math.log(tail / 0.025) / (slope * t));
      if (Math.abs(next - t) < 1e-15 * t) return next;
      t = next;
    }
    return t;
  };

  // --- scores ---

  // dataset -> question -> values[run][seed], of chosen runs; NaN without all metrics
  const byQuestion = (board, chosen) => {
    const found = new Map();
    for (const d of chosen.datasets) {
      const of = {};
      for (const question of board.questions) {
        const metrics = chosen.metrics.filter((m) => board.metrics[m].question === question
          && board.values[d][m].some((run) => run.some((x) => x !== null)));
        if (!metrics.length || !(chosen.weights[question] > 0)) continue;
        of[question] = chosen.runs.map((r) => board.values[d][metrics[0]][r].map((_, s) => {
          const values = metrics.map((m) => board.values[d][m][r][s]);
          return values.includes(null) ? NaN : sum(values) / values.length;
        }));
      }
      if (Object.keys(of).length) found.set(d, of);
    }
    return found;
  };
  const weighted = (questions, weights) => questions.map((of) => {
    const names = Object.keys(of);
    const total = sum(names.map((name) => weights[name]));
    return of[names[0]].map((run, r) => run.map((_, s) => sum(names.map((name) => weights[name] / total * of[name][r][s]))));
  });
  const given = (seeds) => seeds.filter((x) => !Number.isNaN(x));
  const meanOfSeeds = (seeds) => sum(given(seeds)) / given(seeds).length;
  const meanAndHalfWidth = (scores, runs) => {
    const mean = Array(runs).fill(scores.length ? 0 : NaN);
    const half = Array(runs).fill(NaN);
    for (const r of range(runs)) {
      let [total, squares] = [0, 0];
      for (const x of scores) {
        const values = given(x[r]);
        const n = values.length;
        const ofSeeds = sum(values) / n;
        mean[r] += ofSeeds / scores.length;
        const variance = sum(values.map((value) => (value - ofSeeds) ** 2)) / (n - 1) / n;
        total += variance;
        squares += variance ** 2 / (n - 1);
      }
      const degrees = total > 0 ? total ** 2 / squares : Number.isNaN(total) ? NaN : 1;
      if (scores.length) half[r] = quantile(degrees) * Math.sqrt(total) / scores.length;
    }
    return [mean, half];
  };
  const largest = (mean) => mean.reduce((at, x, i) => (!Number.isNaN(x) && (at < 0 || x > mean[at]) ? i : at), -1);
  const ranksOf = (mean) => mean.map((x) => (Number.isNaN(x) ? NaN : 1 + mean.filter((other) => other > x + EQUAL).length));
  const standing = (board, chosen) => {
    const byDataset = byQuestion(board, chosen);
    const questions = [...byDataset.values()];
    let scores = weighted(questions, chosen.weights);
    const complete = chosen.runs.map((r, i) => scores.length > 0 && [...byDataset.keys()].every((d, at) => {
      const wanted = board.seeds[d][r];
      return wanted > 0 && given(scores[at][i]).length === wanted;
    }));
    scores = scores.map((x) => x.map((run, i) => (complete[i] ? run : run.map(() => NaN))));
    const [mean, half] = meanAndHalfWidth(scores, chosen.runs.length);
    const first = Math.max(0, largest(mean));
    const [gap, ofGap] = meanAndHalfWidth(scores.map((x) => x.map((run) => run.map((value, s) => x[first][s] - value))), mean.length);
    const level = mean.map((_, i) => complete[i] && !(gap[i] - ofGap[i] > 0));
    const apart = Math.max(...mean.filter((_, i) => complete[i] && !level[i]));
    const names = board.questions.filter((question) => questions.some((of) => question in of));
    const ofQuestion = (name) => {
      const scores = questions.filter((of) => name in of).map((of) => of[name]);
      return meanAndHalfWidth(scores, chosen.runs.length)[0];
    };
    return {
      score: mean,
      low: mean.map((x, i) => x - half[i]),
      high: mean.map((x, i) => x + half[i]),
      rank: ranksOf(mean),
      questions: Object.fromEntries(names.map((name) => [name, ofQuestion(name)])),
      level: level.map((is, i) => is && mean[i] > apart),
    };
  };

  // --- how fragile the order is ---

  const firsts = (mean) => {
    const top = Math.max(...mean);
    const first = mean.map((x) => (x > top - EQUAL ? 1 : 0));
    return first.map((x) => x / sum(first));
  };
  const meanOf = (parts) => parts[0].map((_, i) => sum(parts.map((part) => part[i])) / parts.length);
  const lattice = (names) => {
    const found = [];
    for (let a = 1; a < STEPS; a++) {
      if (names.length === 2) found.push([a, STEPS - a]);
      else for (let b = 1; b < STEPS - a; b++) found.push([a, b, STEPS - a - b]);
    }
    return found.map((one) => Object.fromEntries(names.map((name, i) => [name, one[i] / STEPS])));
  };
  const smallestMove = (names, weights, meanWith) => {
    const total = sum(names.map((name) => weights[name]));
    const now = Object.fromEntries(names.map((name) => [name, weights[name] / total]));
    const leader = largest(meanWith(now));
    let best = null;
    for (const source of names) {
      for (const target of names) {
        if (source === target) continue;
        const moved = (weight) => {
          const mean = meanWith({ ...now, [source]: now[source] - weight, [target]: now[target] + weight });
          return mean[leader] > Math.max(...mean) - EQUAL ? leader : largest(mean);
        };
        let [low, high] = [0, now[source] * (1 - EQUAL)];
        if (moved(high) === leader) continue;
        for (let i = 0; i < HALVINGS; i++) {
          const middle = (low + high) / 2;
          if (moved(middle) === leader) low = middle;
          else high = middle;
        }
        if (best === null || high < best[0] - EQUAL) best = [high, source, target, moved(high)];
      }
    }
    return best;
  };
  const resampled = (scores) => {
    let state = 1;
    const total = Array(scores[0].length).fill(0);
    for (let i = 0; i < RESAMPLES; i++) {
      const mean = Array(total.length).fill(0);
      for (const x of scores) {
        const seeds = x[0].length;
        const drawn = range(seeds).map(() => {
          state = (Math.imul(1664525, state) + 1013904223) >>> 0;
          return Math.floor(state * seeds / 2 ** 32);
        });
        x.forEach((run, r) => { mean[r] += sum(drawn.map((s) => run[s])) / seeds; });
      }
      firsts(mean).forEach((share, r) => { total[r] += share; });
    }
    return total.map((x) => x / RESAMPLES);
  };
  const fragility = (board, chosen) => {
    const now = standing(board, chosen);
    const ranked = range(now.score.length).filter((i) => !Number.isNaN(now.score[i]));
    const found = { weights: null, datasets: null, seeds: null, dethroned: null };
    if (ranked.length < 2) return found;
    const only = { ...chosen, runs: ranked.map((i) => chosen.runs[i]) };
    const questions = [...byQuestion(board, only).values()];
    const names = Object.keys(now.questions);
    const spread = (shares) => now.score.map((_, i) => (ranked.includes(i) ? shares[ranked.indexOf(i)] : NaN));
    const meanWith = (weights, leave = -1) => {
      const scores = weighted(questions.filter((_, i) => i !== leave), weights);
      return range(ranked.length).map((r) => sum(scores.map((x) => meanOfSeeds(x[r]))) / scores.length);
    };
    if (names.length > 1) {
      found.weights = spread(meanOf(lattice(names).map((weights) => firsts(meanWith(weights)))));
      const move = smallestMove(names, chosen.weights, meanWith);
      found.dethroned = move && [...move.slice(0, 3), ranked[move[3]]];
    }
    if (questions.length > 1) {
      found.datasets = spread(meanOf(range(questions.length).map((leave) => firsts(meanWith(chosen.weights, leave)))));
    }
    const scores = weighted(questions, chosen.weights);
    if (scores.every((x) => x[0].length > 1 && x.flat().every((value) => !Number.isNaN(value)))) found.seeds = spread(resampled(scores));
    return found;
  };
  return { standing, fragility };
})();

// --- the page ---

(() => {
  const PAUSE = 150; // ms
  const make = (tag, properties = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  };
  const three = (x) => (Number.isNaN(x) ? "–" : x.toFixed(3));
  const percent = (x) => (Number.isNaN(x) ? "–" : `${Math.round(100 * x)} %`);
  const listed = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);

  const setUp = (place) => {
    const board = JSON.parse(place.querySelector("script").textContent);
    const all = (axis) => board[axis].map((_, i) => i);
    const usual = () => ({
      datasets: all("datasets").filter((d) => board.datasets[d].usual),
      metrics: all("metrics"),
      runs: all("runs").filter((r) => board.runs[r].competes),
      weights: Object.fromEntries(board.questions.map((question) => [question, 1])),
    });
    let chosen = usual();
    let shown = false;
    let waiting; // for a moving slider to rest
    const controls = make("div", { className: "choose" });
    const verdict = make("p", { className: "verdict" });
    verdict.setAttribute("aria-live", "polite");
    const table = place.querySelector("table");
    place.prepend(verdict, controls);

    const hash = () => {
      const parts = [`scenario=${encodeURIComponent(board.scenario)}`];
      for (const axis of ["datasets", "metrics", "runs"]) {
        if (String(chosen[axis]) !== String(usual()[axis])) {
          parts.push(`${axis}=${chosen[axis].map((i) => encodeURIComponent(board[axis][i].id)).join(",")}`);
        }
      }
      const weights = board.questions.map((question) => chosen.weights[question]);
      if (weights.some((x) => x !== 1)) parts.push(`weights=${weights.join(",")}`);
      return parts.length > 1 ? `#choice&${parts.join("&")}` : "";
    };
    const fromHash = () => {
      const given = new Map(location.hash.split("&").slice(1).map((part) => part.split("=")));
      if (!location.hash.startsWith("#choice") || given.get("scenario") !== encodeURIComponent(board.scenario)) return;
      for (const axis of ["datasets", "metrics", "runs"]) {
        const names = given.get(axis)?.split(",");
        if (names) chosen[axis] = all(axis).filter((i) => names.includes(encodeURIComponent(board[axis][i].id)));
      }
      const weights = given.get("weights")?.split(",").map(Number);
      if (weights) board.questions.forEach((question, i) => { chosen.weights[question] = weights[i] >= 0 ? weights[i] : 1; });
    };

    const chips = (axis, label, only = () => true) => {
      const row = make("div", { className: "tools" }, make("span", { className: "count", textContent: label }));
      for (const i of all(axis).filter(only)) {
        const chip = make("button", { type: "button", className: "chip", textContent: board[axis][i].label });
        chip.setAttribute("aria-pressed", String(chosen[axis].includes(i)));
        chip.addEventListener("click", () => {
          const kept = chosen[axis].includes(i) ? chosen[axis].filter((one) => one !== i) : [...chosen[axis], i];
          chosen[axis] = kept.sort((a, b) => a - b);
          chip.setAttribute("aria-pressed", String(chosen[axis].includes(i)));
          show();
        });
        row.append(chip);
      }
      return row;
    };
    const drawControls = () => {
      const weights = board.questions.map((question) => {
        const slider = make("input", { type: "range", min: 0, max: 3, step: 0.25, value: chosen.weights[question] });
        const said = make("output", { textContent: chosen.weights[question] });
        slider.addEventListener("input", () => {
          chosen.weights[question] = Number(slider.value);
          said.textContent = slider.value;
          clearTimeout(waiting);
          waiting = setTimeout(show, PAUSE);
        });
        return make("label", {}, `${board.labels[question]} `, slider, " ", said);
      });
      const reset = make("button", { type: "button", className: "chip", textContent: "Reset" });
      reset.addEventListener("click", () => { chosen = usual(); drawControls(); show(); });
      const others = make("input", { type: "checkbox", checked: shown });
      others.addEventListener("change", () => { shown = others.checked; show(); });
      const details = make("details", { open: controls.querySelector("details")?.open ?? hash() !== "" },
        make("summary", { textContent: "Choose datasets, metrics, runs and weights" }),
        make("div", { className: "tools" }, make("span", { className: "count", textContent: "Weights" }), ...weights),
        chips("datasets", "Datasets"), chips("metrics", "Metrics"),
        chips("runs", "Runs", (r) => board.runs[r].competes), reset);
      controls.replaceChildren(details, make("label", { className: "count" }, others, " Controls"));
    };

    const bar = (x, text, title, colour) => {
      const cell = make("td", { textContent: text, title });
      cell.dataset.sort = Number.isNaN(x) ? "" : x;
      const width = Math.max(0, Math.min(1, x)) * 100;
      if (!Number.isNaN(x)) cell.style.background = `linear-gradient(to right, ${colour} ${width}%, transparent ${width}%) no-repeat left bottom / 100% 4px`;
      return cell;
    };
    const rowsOf = (runs, now, first, names) => runs.map((r, i) => ({ r, i })).sort((a, b) => {
      const [x, y] = [now.score[a.i], now.score[b.i]];
      return (Number.isNaN(x) - Number.isNaN(y)) || y - x
        || Object.values(now.questions).reduce((s, q) => s + (q[b.i] || 0) - (q[a.i] || 0), 0);
    }).map(({ r, i }) => {
      const run = board.runs[r];
      const name = make("td", {}, make("span", { className: "dot" }), make("a", { href: `#method-${run.method}`, textContent: run.label }));
      name.querySelector(".dot").style.background = run.colour;
      if (run.checks) name.append(make("a", { href: "#sanity-checks", title: run.checks, textContent: " ⚠" }));
      const interval = Number.isNaN(now.low[i]) ? "" : ` (${three(now.low[i])} to ${three(now.high[i])})`;
      const row = make("tr", {}, name,
        make("td", { textContent: Number.isNaN(now.rank[i]) ? "–" : now.rank[i] }),
        bar(now.score[i], `${three(now.score[i])}${interval}`, "", "var(--accent)"));
      if (now.rank[i] === 1) row.className = "first";
      else if (now.level[i]) row.className = "level";
      for (const question of names) {
        const x = now.questions[question][i];
        const better = now.questions[question].filter((other) => other > x + 1e-12).length + 1;
        const place = Number.isNaN(x) || !run.competes ? "" : ` · ${better}`;
        row.append(bar(x, `${three(x)}${place}`, place && `rank ${better} in this question`, "var(--quiet)"));
      }
      for (const shares of first) row.append(make("td", { textContent: shares ? percent(shares[i]) : "–" }));
      row.dataset.run = run.id;
      return row;
    });
    const show = () => {
      const now = choice.standing(board, chosen);
      const fragile = choice.fragility(board, chosen);
      const names = Object.keys(now.questions);
      const first = [["weights", fragile.weights], ["datasets", fragile.datasets], ["seeds", fragile.seeds]].filter(([, x]) => x);
      const heads = ["Run", "Rank", "Overall", ...names.map((question) => board.labels[question]), ...first.map(([name]) => `First, other ${name}`)];
      const body = make("tbody", {}, ...rowsOf(chosen.runs, now, first.map(([, x]) => x), names));
      table.replaceChildren(make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col", textContent: text })))), body);
      const controlRuns = all("runs").filter((r) => !board.runs[r].competes);
      if (shown && controlRuns.length) {
        const ofControls = choice.standing(board, { ...chosen, runs: controlRuns });
        ofControls.rank.fill(NaN);
        ofControls.level.fill(false);
        const none = first.map(() => Array(controlRuns.length).fill(NaN));
        const ordered = Object.fromEntries(names.map((name) => [name, ofControls.questions[name] ?? Array(controlRuns.length).fill(NaN)]));
        table.append(make("tbody", { className: "controls" }, ...rowsOf(controlRuns, { ...ofControls, questions: ordered }, none, names)));
      }
      verdict.textContent = sentenceOf(now, fragile);
      const url = hash();
      if (url !== location.hash && (url || location.hash.startsWith("#choice"))) history.replaceState(null, "", url || location.pathname + location.search);
    };
    const sentenceOf = (now, fragile) => {
      const label = (i) => board.runs[chosen.runs[i]].label;
      const lead = now.rank.flatMap((rank, i) => (rank === 1 ? [i] : []));
      if (!lead.length) return "No chosen run has all chosen scores.";
      const ofDatasets = chosen.datasets.length === 1 ? board.datasets[chosen.datasets[0]].label : `${chosen.datasets.length} datasets`;
      const seeds = Math.max(...chosen.datasets.map((d) => Math.max(...board.seeds[d])));
      let text = `${listed(lead.map(label))}: best overall on ${ofDatasets} (${three(now.score[lead[0]])}).`;
      const level = now.level.flatMap((is, i) => (is && now.rank[i] !== 1 ? [label(i)] : []));
      if (seeds < 2) text += " One seed gives no interval.";
      else if (level.length) text += ` Not separable from it by ${seeds} seeds: ${listed(level)}.`;
      else if (now.rank.some((rank) => rank > 1)) text += " All others are separable from it on these cells.";
      const shares = ["weights", "datasets", "seeds"].filter((name) => fragile[name]);
      if (shares.length) {
        const what = { weights: "of weightings", datasets: "with a dataset left out", seeds: "of resampled seeds" };
        text += ` It stays first in ${listed(shares.map((name) => `${percent(fragile[name][lead[0]])} ${what[name]}`))}.`;
      }
      if (fragile.dethroned) {
        const [weight, source, target, other] = fragile.dethroned;
        text += ` Moving ${(100 * weight).toFixed(1)} % of the weight from “${board.labels[source]}” to “${board.labels[target]}” puts ${label(other)} first.`;
      } else if (fragile.weights) text += " Moving weight between two questions does not change that.";
      return text;
    };
    fromHash();
    drawControls();
    show();
  };
  document.querySelectorAll(".board").forEach(setUp);
})();
