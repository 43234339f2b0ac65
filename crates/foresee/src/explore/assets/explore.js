// The page of `foresee explore`. The controls hold the state; every change writes it into the link.
"use strict";

const $ = (id) => document.getElementById(id);
const body = document.body;
const tab = Math.floor(Math.random() * 2 ** 52);
const turns = {};
const running = {};

// The face, the attribute's row and the channels that are clicked away are not in a control.
let face = body.dataset.face;
let page = Number(body.dataset.page);
let clicked = $("channels").dataset.pruned.split(",").filter(Boolean).map(Number);
let pruned = [];
let answers = null;
let revealed = false;
let asked = [];

function element(name, properties = {}, children = []) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role" || key === "for") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

// ---- The link -------------------------------------------------------------------------------

function operation() {
  const given = new URLSearchParams();
  if ($("tone").checked) {
    given.set("n", $("n").value || "1");
    given.set("beta", $("beta").value || "0");
  }
  if (Number($("sigma").value) > 0) {
    given.set("sigma", $("sigma").value);
    given.set("noise_seed", $("noise_seed").value || "0");
  }
  if ($("rule").value) {
    given.set("rule", $("rule").value);
    given.set("count", $("count").value);
    if ($("rule").value === "random") given.set("order_seed", $("order_seed").value || "0");
  } else if (clicked.length) {
    given.set("channels", clicked.join(","));
  }
  if ($("takeover").value !== "nothing") given.set("takeover", $("takeover").value);
  return given;
}

function listing() {
  const given = new URLSearchParams();
  if ($("filter").value) {
    given.set("filter", $("filter").value);
    given.set("has", $("has").value);
  }
  if ($("sort").value !== "order") {
    given.set("sort", $("sort").value);
    if ($("of").value) given.set("of", $("of").value);
  }
  if (page) given.set("page", page);
  return given;
}

function together(...all) {
  return new URLSearchParams(all.flatMap((given) => [...given]));
}

function subject() {
  return new URLSearchParams({ face, attribute: $("attribute").value });
}

// Browsers let a page write its address only so often: at once, and then four times a second.
const LINK_EVERY = 250;
let linkTimer = 0;
let linkAgain = false;

function writeLink() {
  const what = together(subject(), operation());
  for (const link of $("save").querySelectorAll("a")) {
    link.href = `${link.dataset.save}&${what}`.replace("?&", "?");
  }
  linkAgain = true;
  if (!linkTimer) writeAddress();
}

function writeAddress() {
  linkTimer = 0;
  if (!linkAgain) return;
  linkAgain = false;
  linkTimer = setTimeout(writeAddress, LINK_EVERY);
  const given = together(subject(), operation(), listing());
  if ($("by").value !== "mask") given.set("by", $("by").value);
  if ($("method").value) given.set("method", $("method").value);
  if ($("people").value !== "200") given.set("people", $("people").value);
  if ($("forecast").checked) given.set("challenge", $("seed").value || "0");
  try {
    history.replaceState(null, "", `/?${given}`);
  } catch {
    linkAgain = true;
  }
}

// ---- Requests -------------------------------------------------------------------------------

// What went wrong, by the kind of request; what succeeds takes away its own kind only.
const problems = {};

function complain(kind, message) {
  if (message) problems[kind] = message;
  else delete problems[kind];
  const all = [...new Set(Object.values(problems))];
  $("error").textContent = all.join(" ");
  $("error").hidden = !all.length;
}

// The answer to the newest request of a kind; null for one that a newer has overtaken.
async function ask(kind, address, given, options = {}) {
  running[kind]?.abort();
  const own = (running[kind] = new AbortController());
  const all = new URLSearchParams(given);
  if (kind === "operate" || kind === "population") {
    turns[kind] = (turns[kind] || 0) + 1;
    all.set("tab", tab);
    all.set("turn", turns[kind]);
  }
  try {
    const response = await fetch(`${address}?${all}`, { signal: own.signal, ...options });
    const document = await response.json();
    if (own !== running[kind] || response.status === 409) return null;
    if (!response.ok) throw new Error(document.error);
    complain(kind, "");
    return document;
  } catch (error) {
    const isOff = error instanceof TypeError;
    const message = isOff ? "The server does not answer; is it still running?" : error.message;
    if (error.name !== "AbortError" && own === running[kind]) {
      complain(kind, message);
      if (kind === "operate") clearOutcome();
      if (kind === "population") $("population").textContent = "";
    }
    return null;
  }
}

// ---- 1. Faces -------------------------------------------------------------------------------

let listTimer = 0;
let listed = "";

async function list() {
  clearTimeout(listTimer);
  const found = await ask("faces", "/api/faces", listing());
  if (!found) return;
  page = found.page;
  const thumbnails = found.faces.map(({ face: number, image, value }) => {
    const source = `/image/thumbnail.png?face=${number}`;
    const shown = element("img", { src: source, width: 72, height: 72, alt: image });
    const parts = value === null ? [shown] : [shown, element("span", {}, [value.toFixed(2)])];
    const button = element("button", { type: "button" }, parts);
    button.setAttribute("aria-pressed", String(String(number) === face));
    button.dataset.face = number;
    button.addEventListener("click", () => choose(String(number)));
    return button;
  });
  const shownNow = JSON.stringify(found.faces);
  if (shownNow !== listed) $("faces").replaceChildren(...thumbnails);
  listed = shownNow;
  $("page-note").textContent = `page ${found.page + 1} of ${found.pages}`;
  $("previous").disabled = found.page === 0;
  $("next").disabled = found.page + 1 >= found.pages;
  const measures = { wrong: "The number is the log loss.", uncertain: "The number is |logit|." };
  const note = [`${found.total} test faces. ${measures[$("sort").value] || ""}`];
  if (found.answered) {
    const [there, all] = found.answered;
    const isWaiting = there < all && !found.problem;
    note.push(isWaiting ? "More faces are still being sorted." : `Sorted are the first ${there}.`);
    if (found.problem) note.push(`The others cannot be: ${found.problem}.`);
    if (isWaiting) listTimer = setTimeout(list, 2000);
  }
  // Read aloud only where it differs.
  if ($("faces-note").textContent !== note.join(" ")) $("faces-note").textContent = note.join(" ");
  writeLink();
}

async function choose(chosen) {
  face = chosen;
  for (const button of $("faces").children) {
    button.setAttribute("aria-pressed", String(button.dataset.face === face));
  }
  await show();
}

async function upload(file) {
  const sent = await ask("upload", "/api/upload", {}, { method: "POST", body: file });
  if (sent) await choose(sent.face);
}

// ---- The chosen face ------------------------------------------------------------------------

async function show() {
  writeLink();
  $("portrait").src = `/image/face.png?face=${face}`;
  answers = await ask("face", "/api/face", { face });
  if (!answers) return;
  const name = answers.image ? `test face ${answers.image}` : "your own image";
  $("portrait").alt = `The chosen face: ${name}, as the network sees it`;
  $("face-name").textContent = `Chosen: ${name}`;
  drawAnswers();
  changed();
  masks();
  attribution();
}

const percent = (p) => (p === null ? "–" : `${(100 * p).toFixed(1)} %`);
const signed = (v) => (v === null ? "–" : `${v < 0 ? "−" : "+"}${Math.abs(v).toFixed(3)}`);

// A bar from the middle, to the right if the value is above 0.
function bar(value, scale) {
  const inner = element("span", { className: value < 0 ? "minus" : "plus" });
  const share = Math.min(Math.abs(value || 0) / scale, 1) * 50;
  inner.style.width = `${share}%`;
  inner.style.left = value < 0 ? `${50 - share}%` : "50%";
  return element("span", { className: "bar", "aria-hidden": "true" }, [inner]);
}

function drawAnswers() {
  const scale = Math.max(4, ...answers.attributes.map(({ logit }) => Math.abs(logit)));
  const rows = answers.attributes.map(({ name, label, logit, probability }, k) => {
    const button = element("button", { type: "button", className: "plain" }, [name]);
    button.addEventListener("click", () => {
      $("attribute").value = k;
      lookAt();
    });
    const known = label === null ? "–" : label ? "yes" : "no";
    const wrong = label !== null && label !== logit > 0;
    const after = ["after", "Δ logit", "flips"].map((label) =>
      element("td", { role: "cell", className: "after", "data-label": label }),
    );
    const written = logit === null ? "–" : logit.toFixed(2);
    const number = element("span", { className: "number" }, [written]);
    return element("tr", { role: "row", className: wrong ? "wrong" : "" }, [
      element("th", { role: "rowheader", scope: "row" }, [button]),
      element("td", { role: "cell", "data-label": "label" }, [wrong ? `${known} (wrong)` : known]),
      element("td", { role: "cell", "data-label": "probability" }, [percent(probability)]),
      element("td", { role: "cell", "data-label": "logit" }, [number, bar(logit, scale)]),
      ...after,
    ]);
  });
  $("answers").tBodies[0].replaceChildren(...rows);
}

// The old outcome stays, greyed, until the new one is there; a refused one leaves none.
function clearOutcome() {
  for (const cell of $("answers").querySelectorAll("td.after")) cell.replaceChildren();
  $("outcome-note").textContent = "";
  $("population").textContent = "";
}

function drawOutcome(outcome) {
  body.classList.remove("stale");
  const changes = outcome.attributes.map(({ before, after }) =>
    before === null || after === null ? null : after - before,
  );
  const scale = Math.max(1e-6, ...changes.map((change) => Math.abs(change || 0)));
  let flips = 0;
  outcome.attributes.forEach((row, k) => {
    const cells = $("answers").tBodies[0].rows[k].querySelectorAll(".after");
    cells[0].textContent = percent(row.probability_after);
    const number = element("span", { className: "number" }, [signed(changes[k])]);
    cells[1].replaceChildren(number, bar(changes[k], scale));
    cells[2].textContent = row.flips ? "flips" : "";
    cells[2].classList.toggle("flip", row.flips);
    flips += row.flips ? 1 : 0;
  });
  pruned = outcome.pruned;
  drawChannels();
  const left = outcome.channels - pruned.length;
  $("outcome-note").textContent =
    `${outcome.title}. ${left} of ${outcome.channels} channels are left; ${flips} answers flip.`;
}

// ---- 2. The operation -----------------------------------------------------------------------

let waiting = 0;

// Something about the operation or the face has changed.
function changed() {
  $("sigma-value").textContent = $("sigma").value;
  if (!$("rule").value) $("count").value = clicked.length;
  $("count-value").textContent = $("count").value;
  $("order_seed").disabled = $("rule").value !== "random";
  drawCurve();
  writeLink();
  body.classList.add("stale");
  running.population?.abort();
  clearTimeout(waitingForPeople);
  if ($("forecast").checked && answers) return beginRound();
  body.classList.remove("secret");
  $("challenge").hidden = true;
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(operate);
}

async function operate() {
  if (!$("rule").value) pruned = clicked;
  const outcome = await ask("operate", "/api/operate", together(subject(), operation()));
  if (!outcome || !answers) return;
  drawOutcome(outcome);
  if ($("forecast").checked && revealed) body.classList.remove("secret");
  clearTimeout(waitingForPeople);
  waitingForPeople = setTimeout(population, 250);
}

let waitingForPeople = 0;

async function population() {
  $("population").textContent = "Computing …";
  const given = together(operation(), new URLSearchParams({ people: $("people").value || "200" }));
  const effect = await ask("population", "/api/population", given);
  if (!effect) return;
  const with_error = (value, error) =>
    error === null ? percent(value) : `${percent(value)} ± ${(100 * error).toFixed(1)}`;
  const spread = effect.gain_standard_error;
  const gain = signed(100 * effect.gain) + (spread === null ? "" : ` ± ${(100 * spread).toFixed(3)}`);
  $("population").textContent =
    `Accuracy on ${effect.faces} test faces, over all 40 attributes: before ` +
    `${with_error(effect.before, effect.before_standard_error)}, after ` +
    `${with_error(effect.after, effect.after_standard_error)}; change on the same faces ` +
    `${gain} percentage points (± standard errors).`;
}

function drawChannels() {
  const count = Number(body.dataset.channels);
  const box = $("channels");
  if (box.children.length !== count) {
    const buttons = Array.from({ length: count }, (_, channel) => {
      const label = `channel ${channel} pruned`;
      const button = element("button", { type: "button", "aria-label": label }, [channel]);
      button.addEventListener("click", () => toggle(channel));
      return button;
    });
    box.replaceChildren(...buttons);
  }
  for (let channel = 0; channel < count; channel += 1) {
    box.children[channel].setAttribute("aria-pressed", String(pruned.includes(channel)));
  }
}

function toggle(channel) {
  const now = $("rule").value ? pruned : clicked;
  clicked = now.includes(channel) ? now.filter((c) => c !== channel) : [...now, channel];
  if (clicked.length >= Number(body.dataset.channels)) clicked.pop();
  $("rule").value = "";
  pruned = clicked;
  drawChannels();
  changed();
}

function reset() {
  $("tone").checked = false;
  $("sigma").value = 0;
  $("rule").value = "";
  $("count").value = 0;
  $("takeover").value = "nothing";
  clicked = [];
  pruned = [];
  drawChannels();
  changed();
}

// ---- The tone curve -------------------------------------------------------------------------

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 28, TOP = 10, SIDE = 200, LOWEST = -0.5;
const across = (mask) => LEFT + SIDE * mask;
const down = (value) => TOP + (SIDE * (1 - value)) / (1 - LOWEST);
const up = (y) => 1 - ((y - TOP) * (1 - LOWEST)) / SIDE;
const handles = {};
let line = null;

function svg(name, attributes, children = []) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Eq. 11 and 12, to be drawn only.
function tone(mask, n, beta) {
  const h = mask < 0.5 ? (2 * mask) ** n / 2 : 1 - (2 * (1 - mask)) ** n / 2;
  return (1 + beta) * h - beta;
}

function makeCurve() {
  const words = (text, x, y, anchor) => svg("text", { x, y, "text-anchor": anchor }, [text]);
  const straight = (x1, y1, x2, y2) => svg("line", { x1, y1, x2, y2 });
  line = svg("path", { class: "tone" });
  for (const [name, label] of [["n", "n of the tone curve"], ["beta", "β of the tone curve"]]) {
    handles[name] = svg("circle", { r: 9, tabindex: 0, role: "slider", "aria-label": label });
    handles[name].addEventListener("pointerdown", (event) => {
      handles[name].setPointerCapture(event.pointerId);
      event.preventDefault();
      handles[name].focus();
    });
    handles[name].addEventListener("pointermove", (event) => {
      if (handles[name].hasPointerCapture(event.pointerId)) drag(name, event);
    });
    handles[name].addEventListener("keydown", (event) => step(name, event));
  }
  const height = TOP + SIDE + 30;
  const title = "Tone curve: the transformed mask over the mask";
  const drawn = svg("svg", { viewBox: `0 0 ${LEFT + SIDE + 14} ${height}`, "aria-label": title }, [
    straight(across(0), down(0), across(1), down(0)),
    straight(across(0), down(1), across(0), down(LOWEST)),
    svg("line", { x1: across(0), y1: down(0), x2: across(1), y2: down(1), class: "identity" }),
    words("0", LEFT - 14, down(0) + 4, "end"),
    words("1", LEFT - 14, down(1) + 4, "end"),
    words("mask M", across(0.5), height - 8, "middle"),
    words("1", across(1), down(0) + 15, "middle"),
    line,
    handles.n,
    handles.beta,
  ]);
  $("curve").replaceChildren(drawn);
}

function drawCurve() {
  const n = Number($("n").value) || 1;
  const beta = Number($("beta").value) || 0;
  const points = Array.from({ length: 101 }, (_, i) => {
    const value = Math.min(Math.max(tone(i / 100, n, beta), LOWEST), 1);
    return `${across(i / 100).toFixed(2)},${down(value).toFixed(2)}`;
  });
  line.setAttribute("d", `M${points.join("L")}`);
  const place = (name, mask, value, low, high) => {
    handles[name].setAttribute("cx", across(mask));
    handles[name].setAttribute("cy", down(Math.min(Math.max(tone(mask, n, beta), LOWEST), 1)));
    handles[name].setAttribute("aria-valuenow", value);
    handles[name].setAttribute("aria-valuemin", low);
    handles[name].setAttribute("aria-valuemax", high);
  };
  place("n", 0.25, n, 0, 1000);
  place("beta", 0, beta, -10, 10);
  $("curve").classList.toggle("off", !$("tone").checked);
}

function drag(name, event) {
  const box = $("curve").firstChild.getBoundingClientRect();
  const scale = (LEFT + SIDE + 14) / box.width;
  const value = up((event.clientY - box.top) * scale);
  const beta = Number($("beta").value) || 0;
  if (name === "beta") {
    setTone("beta", Math.min(Math.max(-value, -0.5), 0.5), 100);
  } else {
    const h = Math.min(Math.max((value + beta) / (1 + beta), 0.001), 0.49);
    setTone("n", Math.min(Math.max(-Math.log2(2 * h), 0.05), 9), 20);
  }
}

function step(name, event) {
  const by = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  const now = Number($(name).value) || 0;
  if (name === "n") setTone("n", Math.min(Math.max(now + 0.05 * by, 0.05), 1000), 20);
  else setTone("beta", Math.min(Math.max(now + 0.01 * by, -10), 10), 100);
}

function setTone(name, value, steps) {
  $(name).value = Math.round(value * steps) / steps;
  $("tone").checked = true;
  changed();
}

// ---- Forecast first -------------------------------------------------------------------------

// The rounds of this tab with this run, and what was forecast in them.
const ROUNDS = `foresee-rounds-${body.dataset.run}`;
const SEEN = `foresee-seen-${body.dataset.run}`;

function kept(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key)) || [];
  } catch {
    return [];
  }
}

// What a forecast is of: its answer can be seen once only.
const question = () => `${face} ${asked.join()} ${operation()}`;

async function beginRound() {
  for (const kind of ["operate", "population", "judge"]) running[kind]?.abort();
  clearTimeout(waitingForPeople);
  revealed = false;
  body.classList.add("secret");
  $("outcome-note").textContent = "The result is hidden until you enter a forecast.";
  $("population").textContent = "";
  $("challenge").hidden = false;
  $("judge").hidden = false;
  $("next-round").hidden = true;
  const drawn = await ask("challenge", "/api/challenge", { challenge: $("seed").value || "0" });
  if (!drawn || !answers) return;
  const same = drawn.join() === asked.join() && $("sliders").children.length;
  asked = drawn;
  if (same) return;
  const sliders = drawn.map((k) => {
    const name = answers.attributes[k].name;
    const shown = element("output", {}, ["+0.00"]);
    const id = `forecast-${k}`;
    const limits = { type: "range", min: -6, max: 6, step: 0.05, value: 0, id };
    const slider = element("input", limits);
    slider.addEventListener("input", () => {
      shown.textContent = signed(Number(slider.value)).slice(0, -1);
    });
    return element("div", {}, [element("label", { for: id }, [name, " ", shown]), slider]);
  });
  $("sliders").replaceChildren(...sliders);
}

async function judge() {
  const asks = question();
  if (kept(SEEN).includes(asks)) {
    return complain("judge", "What happens here was shown before: change something, or go on.");
  }
  const forecast = asked.map((k) => Number($(`forecast-${k}`).value));
  const given = together(subject(), operation());
  given.set("challenge", $("seed").value || "0");
  const sent = JSON.stringify({ forecast, earlier: kept(ROUNDS) });
  const judged = await ask("judge", "/api/forecast", given, { method: "POST", body: sent });
  if (!judged || asks !== question()) return;
  sessionStorage.setItem(ROUNDS, JSON.stringify([...kept(ROUNDS), judged.round]));
  sessionStorage.setItem(SEEN, JSON.stringify([...kept(SEEN), asks]));
  drawJudged(judged);
  revealed = true;
  $("judge").hidden = true;
  $("next-round").hidden = false;
  $("next-round").focus();
  operate();
}

function forget() {
  sessionStorage.removeItem(ROUNDS);
  sessionStorage.removeItem(SEEN);
  $("judged").replaceChildren();
  complain("judge", "");
}

function table(caption, head, rows) {
  const header = element("tr", {}, head.map((cell) => element("th", { scope: "col" }, [cell])));
  const line = ([first, ...others]) =>
    element("tr", {}, [
      element("th", { scope: "row" }, [first]),
      ...others.map((cell) => element("td", {}, [cell])),
    ]);
  return element("div", { className: "scroll" }, [
    element("table", {}, [
      element("caption", {}, [caption]),
      element("thead", {}, [header]),
      element("tbody", {}, rows.map(line)),
    ]),
  ]);
}

function drawJudged({ attributes, round, scores }) {
  const of = (values, i) => (values ? signed(values[i]) : "–");
  const rows = attributes.map((k, i) => [
    answers.attributes[k].name,
    of(round.observed, i),
    of(round.person, i),
    of(round.contribution, i),
    of(round.first_order, i),
  ]);
  const score = (value) => (value === null ? "–" : value.toFixed(2));
  const ranked = scores.map((s) => [s.rule, s.rounds, score(s.rank_agreement), score(s.skill)]);
  $("judged").replaceChildren(
    table("Change of each logit", ["attribute", "happened", "you", "contribution", "first order"], rows),
    table(
      "Over all rounds. Rank agreement is Kendall's τ; the gain over no change is 1 for a perfect " +
        "forecast and 0 for “nothing changes”.",
      ["forecast", "rounds", "rank agreement", "gain over no change"],
      ranked,
    ),
  );
}

// Another face: what happens to this one has been seen.
function nextRound() {
  $("seed").value = Number($("seed").value || 0) + 1;
  $("judged").replaceChildren();
  $("sliders").replaceChildren();
  const faces = [...$("faces").children].map((button) => button.dataset.face);
  const next = faces[(faces.indexOf(face) + 1) % faces.length];
  choose(next || face);
}

// ---- 4. Masks and attribution ---------------------------------------------------------------

function lookAt() {
  writeLink();
  masks();
  attribution();
  $("masks-title").scrollIntoView({ block: "nearest" });
}

function picture(source, caption) {
  const image = element("img", { src: source, width: 192, height: 192, alt: caption });
  return element("figure", {}, [image, element("figcaption", {}, [caption])]);
}

async function masks() {
  if (body.dataset.masks === "no") {
    $("masks").textContent = "This network has no masks.";
    return;
  }
  const given = subject();
  given.set("by", $("by").value);
  const strongest = await ask("masks", "/api/masks", given);
  if (!strongest) return;
  const name = $("attribute").selectedOptions[0].textContent;
  const shown = strongest.map(({ channel, mask, contribution }) =>
    picture(
      `/image/mask.png?${given}&channel=${channel}`,
      `${name}, channel ${channel}: mean mask ${mask.toFixed(3)}, adds ${signed(contribution)}`,
    ),
  );
  $("masks").replaceChildren(...shown);
}

function attribution() {
  if (!$("method").value) return $("attribution").replaceChildren();
  const given = subject();
  given.set("method", $("method").value);
  turns.attribution = (turns.attribution || 0) + 1;
  given.set("tab", tab);
  given.set("turn", turns.attribution);
  const title = $("method").selectedOptions[0].textContent;
  const name = $("attribute").selectedOptions[0].textContent;
  const shown = picture(`/image/attribution.png?${given}`, `${title}, ${name}`);
  const image = shown.firstChild;
  shown.classList.add("busy");
  image.addEventListener("load", () => {
    shown.classList.remove("busy");
    complain("attribution", "");
  });
  image.addEventListener("error", () => {
    // One that was overtaken is not shown any more.
    if (image.isConnected) complain("attribution", `${title} cannot be computed here.`);
  });
  $("attribution").replaceChildren(shown);
}

// ---- Begin ----------------------------------------------------------------------------------

function on(ids, event, action) {
  for (const id of ids) $(id).addEventListener(event, action);
}

makeCurve();
on(["filter", "has", "sort", "of"], "change", () => {
  page = 0;
  list();
});
on(["previous"], "click", () => {
  page -= 1;
  list();
});
on(["next"], "click", () => {
  page += 1;
  list();
});
on(["upload"], "change", () => $("upload").files[0] && upload($("upload").files[0]));
on(["tone", "n", "beta", "sigma", "noise_seed", "order_seed", "takeover"], "input", changed);
on(["rule"], "change", () => {
  clicked = [];
  if ($("rule").value && Number($("count").value) === 0) $("count").value = 1;
  changed();
});
on(["count"], "input", () => {
  // Without an order the slider cannot say which; the paper's is meant.
  if (!$("rule").value) $("rule").value = "lower";
  clicked = [];
  changed();
});
on(["reset"], "click", reset);
on(["people"], "change", () => {
  writeLink();
  if (!$("forecast").checked || revealed) population();
});
on(["attribute"], "change", lookAt);
on(["by"], "change", () => {
  writeLink();
  masks();
});
on(["method"], "change", () => {
  writeLink();
  attribution();
});
on(["forecast"], "change", () => {
  $("sliders").replaceChildren();
  changed();
});
on(["seed"], "change", () => {
  $("judged").replaceChildren();
  changed();
});
on(["judge"], "click", judge);
on(["next-round"], "click", nextRound);
on(["forget"], "click", forget);

pruned = clicked;
drawChannels();
list();
show();
