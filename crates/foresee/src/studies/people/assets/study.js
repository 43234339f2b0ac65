// The page of `foresee study serve`: one person's way through the study. jsPsych runs the screens.
"use strict";

const $ = (id) => document.getElementById(id);
const PERSON = [
  "PROLIFIC_PID",
  "STUDY_ID",
  "SESSION_ID",
  "workerId",
  "assignmentId",
  "hitId",
];
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10000;
const REQUEST_LIMIT = 15000;
// In seconds; the server refuses more.
const LONGEST_TRIAL = 86400;
const KEPT = "foresee-answer-";
const BROWSER = "foresee-study-browser";
const OFFLINE = "No connection; your answer is kept and sent again.";
const OFFLINE_READ = "No connection; trying again.";

let jsPsych = null;
// What the server knows: trials, the next place, the code.
let session = {};
// Why the study ended before its last screen: "declined", "withdrawn" or "failed".
let ending = null;
let problem = "";
// The outcome of the practice trial that was answered last; shown once.
let feedback = null;
// A sentence for the top of the next screen.
let notice = "";
// While the person withdraws, no answer is sent.
let isWithdrawing = false;
let running = null;

function element(name, properties = {}, children = []) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role" || key === "for") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const paragraphs = (texts) => texts.map((text) => element("p", {}, [text]));
const percent = (value) => `${Math.round(value)} ${session.unit} yes`;

function points(value) {
  const rounded = Math.round(value);
  if (rounded === 0) return "no change";
  const sign = rounded < 0 ? "−" : "+";
  return `${sign}${Math.abs(rounded)} ${Math.abs(rounded) === 1 ? "point" : "points"}`;
}

// ---- Requests -------------------------------------------------------------------------------

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function request(address, given) {
  const own = (running = new AbortController());
  const timer = setTimeout(() => own.abort(), REQUEST_LIMIT);
  const options = { signal: own.signal, cache: "no-store" };
  if (given) {
    options.method = "POST";
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(given);
  }
  try {
    const response = await fetch(address, options);
    const reply = await response.json().catch(() => null);
    if (response.status >= 400 && response.status < 500) {
      throw new Refusal(response.status, reply?.error || `Refused (${response.status}).`);
    }
    if (!response.ok || !reply) throw new Error(`No answer (${response.status}).`);
    return reply;
  } finally {
    clearTimeout(timer);
  }
}

function pause(attempt) {
  const longest = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** attempt);
  // Many browsers that lost the same server must not all come back at the same moment.
  const time = longest * (0.75 + 0.25 * Math.random());
  return new Promise((resolve) => {
    setTimeout(resolve, time);
    window.addEventListener("online", resolve, { once: true });
  });
}

function say(text) {
  if ($("saving").textContent !== text) $("saving").textContent = text;
}

// Asks until the server answers. Null if the study ended meanwhile.
async function persist(address, given, offline) {
  for (let attempt = 0; ; attempt++) {
    while (isWithdrawing) await pause(0);
    if (ending) return null;
    try {
      const reply = await request(address, given);
      if (ending) return null;
      say("");
      return reply;
    } catch (error) {
      if (ending) return null;
      if (error instanceof Refusal) {
        say("");
        throw error;
      }
      say(offline);
      await pause(attempt);
    }
  }
}

async function renew() {
  const newest = await persist("/api/session" + location.search, null, OFFLINE_READ);
  if (!newest) return;
  const wasIn = session.consented;
  session = newest;
  if (session.withdrawn) ending = "withdrawn";
  if (wasIn && !session.consented) {
    throw new Error("The server has no answers of yours; you may have withdrawn in another tab.");
  }
}

function fail(error) {
  if (ending) return;
  ending = "failed";
  problem = error.message;
}

// ---- Answers --------------------------------------------------------------------------------

// A kept answer counts only for the trial that it was given to: another study may have had the
// same address before.
const mark = ({ operation, attributes }) => JSON.stringify([operation, attributes]);

// A random name, so that consent that is sent twice is given once.
let pageName = null;
function browserName() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const fresh = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    const known = localStorage.getItem(BROWSER);
    if (known) return known;
    localStorage.setItem(BROWSER, fresh);
  } catch {
    // Without storage the name holds for this page only.
  }
  return (pageName ??= fresh);
}

function keep(answer) {
  try {
    const kept = { ...answer, mark: mark(session.trials[answer.place]) };
    localStorage.setItem(KEPT + answer.place, JSON.stringify(kept));
  } catch {
    // Without storage the answer lives in this tab only.
  }
}

function forget(place) {
  try {
    localStorage.removeItem(KEPT + place);
  } catch {
    // As above.
  }
}

function forgetAll() {
  try {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(KEPT));
    for (const name of names) localStorage.removeItem(name);
  } catch {
    // As above.
  }
}

function kept(place) {
  try {
    const { mark: of, ...answer } = JSON.parse(localStorage.getItem(KEPT + place));
    return of === mark(session.trials[place]) ? answer : null;
  } catch {
    return null;
  }
}

// Sends an answer until the server took it, and sets what comes next.
async function deliver(answer) {
  const { place } = answer;
  const trial = session.trials[place];
  keep(answer);
  say("Saving …");
  let reply;
  try {
    reply = await persist("/api/answer", { session: session.session, ...answer }, OFFLINE);
  } catch (error) {
    // What was refused for another reason may be taken later, when the page is loaded again.
    if ([400, 409].includes(error.status)) forget(place);
    if (error.status !== 409) throw error;
    notice = "You go on with the first face that has no stored answer.";
    await renew();
    return;
  }
  if (!reply) return;
  forget(place);
  // "Already" says little: the first try may have arrived and only its reply got lost.
  if (reply.truth) feedback = { trial, said: answer.after, truth: reply.truth };
  const isExpected = reply.next === place + 1 && !reply.finished;
  if (isExpected) {
    session.next = reply.next;
    return;
  }
  await renew();
  if (!session.finished) notice = "You went on in another tab. This tab goes on from there.";
}

async function sendKept() {
  const answer = isIn() ? kept(session.next) : null;
  if (answer) await deliver(answer);
}

// ---- Every screen ---------------------------------------------------------------------------

function heading(text) {
  return element("h1", { tabIndex: -1 }, [text]);
}

function button(id, text, action) {
  const made = element("button", { type: "button", id }, [text]);
  made.addEventListener("click", action);
  return made;
}

// Fills the screen; its heading takes the focus, so that a screen reader begins there.
function show(display, name, title, children) {
  const canWithdraw = session.consented && (!ending || ending === "failed");
  const screen = element("section", { "data-screen": name }, [
    session.title && title !== session.title
      ? element("p", { className: "study-title" }, [session.title])
      : null,
    heading(title),
    notice ? element("p", { className: "notice", role: "status" }, [notice]) : null,
    session.synthetic && !ending
      ? element("p", { className: "synthetic" }, [
          "These faces are drawn by a program. They are not photographs.",
        ])
      : null,
    ...children,
    canWithdraw ? withdrawal(name === "finished") : null,
  ]);
  notice = "";
  display.replaceChildren(screen);
  jsPsych.getDisplayContainerElement().tabIndex = -1;
  window.scrollTo(0, 0);
  screen.querySelector("h1").focus({ preventScroll: true });
  return screen;
}

function withdrawal(isLast) {
  const dialog = element("dialog", { id: "withdraw-dialog", "aria-labelledby": "withdraw-title" });
  const error = element("p", { className: "error", role: "alert", hidden: true });
  const close = () => dialog.close();
  const cancel = button("withdraw-cancel", isLast ? "Keep my answers" : "Go on", close);
  const confirm = button("withdraw-confirm", "Delete my answers", async () => {
    confirm.disabled = true;
    error.hidden = true;
    try {
      await withdraw();
    } catch (reason) {
      const isRefused = reason instanceof Refusal;
      const why = isRefused ? reason.message : "The server does not answer.";
      error.textContent = `${why} Your answers are not deleted yet. Please try again.`;
      error.hidden = false;
      confirm.disabled = false;
    }
  });
  const effect = isLast
    ? "All your answers are deleted. This cannot be undone."
    : "The study ends and all your answers are deleted. This cannot be undone.";
  dialog.append(
    element("h2", { id: "withdraw-title" }, ["Withdraw your answers?"]),
    element("p", {}, [effect]),
    error,
    element("div", { className: "buttons" }, [cancel, confirm]),
  );
  const label = isLast ? "Withdraw my answers" : "Stop and withdraw";
  const open = button("withdraw", label, () => dialog.showModal());
  open.className = "plain";
  return element("footer", {}, [open, dialog]);
}

async function withdraw() {
  isWithdrawing = true;
  running?.abort();
  try {
    await request("/api/withdraw", {});
    ending = "withdrawn";
  } finally {
    isWithdrawing = false;
  }
  forgetAll();
  say("");
  jsPsych.finishTrial({});
}

// What jsPsych asks of each plugin class.
function info(name, parameters = {}) {
  return { name: `foresee-${name}`, version: "1.0.0", parameters, data: {} };
}

const OBJECT = jsPsychModule.ParameterType.OBJECT;

// ---- Consent --------------------------------------------------------------------------------

function identifiers() {
  const given = new URLSearchParams(location.search);
  return Object.fromEntries([...given].filter(([name, value]) => value && PERSON.includes(name)));
}

class ConsentPlugin {
  static info = info("consent");

  constructor(jsPsych) {
    this.jsPsych = jsPsych;
  }

  trial(display) {
    const agree = element("input", { type: "checkbox", id: "agree" });
    const begin = button("begin", "Begin", () => this.begin());
    const decline = button("decline", "I do not agree", () => this.decline());
    begin.className = "main";
    begin.disabled = true;
    agree.addEventListener("change", () => {
      begin.disabled = !agree.checked;
    });
    show(display, "consent", session.title, [
      ...paragraphs(session.consent),
      element("label", { className: "agree", for: "agree" }, [
        agree,
        element("span", {}, ["I am 18 or older, I have read this, and I agree to take part"]),
      ]),
      element("div", { className: "buttons" }, [begin, decline]),
    ]);
  }

  async begin() {
    $("begin").disabled = $("agree").disabled = $("decline").disabled = true;
    try {
      const given = { identifiers: identifiers(), browser: browserName() };
      session = await persist("/api/consent", given, OFFLINE_READ);
      // Somebody else may have used this browser before.
      if (session.next === 0) forgetAll();
    } catch (error) {
      // Another tab agreed first: go on with its session.
      if (error.status === 409) await renew().catch(fail);
      else fail(error);
    }
    this.jsPsych.finishTrial({});
  }

  decline() {
    ending = "declined";
    this.jsPsych.finishTrial({});
  }
}

// ---- Instructions ---------------------------------------------------------------------------

class PagesPlugin {
  static info = info("pages", {
    screen: { type: jsPsychModule.ParameterType.STRING },
    title: { type: jsPsychModule.ParameterType.STRING },
    pages: { type: OBJECT },
  });

  constructor(jsPsych) {
    this.jsPsych = jsPsych;
  }

  trial(display, { screen, title, pages }) {
    const draw = (page) => {
      const isLast = page + 1 === pages.length;
      const turn = () => (isLast ? this.jsPsych.finishTrial({}) : draw(page + 1));
      const next = button("next", isLast ? "Start" : "Next", turn);
      next.className = "main";
      const back = page > 0 ? button("back", "Back", () => draw(page - 1)) : null;
      const number = pages.length > 1 ? ` (${page + 1} of ${pages.length})` : "";
      show(display, screen, title + number, [
        ...paragraphs(pages[page]),
        element("div", { className: "buttons" }, [next, back]),
      ]);
    };
    draw(0);
  }
}

// ---- A trial --------------------------------------------------------------------------------

// Seconds since now, without the time while the page is hidden.
function stopwatch() {
  let total = 0;
  let since = document.hidden ? null : performance.now();
  const change = () => {
    if (since !== null) total += performance.now() - since;
    since = document.hidden ? null : performance.now();
  };
  document.addEventListener("visibilitychange", change);
  return {
    seconds: () => (total + (since === null ? 0 : performance.now() - since)) / 1000,
    stop: () => document.removeEventListener("visibilitychange", change),
  };
}

// A picture that is asked for again until it arrives.
function picture(properties) {
  const made = element("img", properties);
  let attempt = 0;
  made.addEventListener("error", async () => {
    await pause(attempt++);
    if (made.isConnected) made.src = properties.src;
  });
  return made;
}

function slider(properties) {
  return element("input", { type: "range", min: 0, max: 100, step: 1, ...properties });
}

// One attribute: the answer before, a slider that begins there, and what is set.
class Row {
  constructor({ name, before }, index, changed) {
    this.name = name;
    this.before = before;
    this.state = "untouched";
    this.changed = changed;
    this.input = slider({
      id: `output-${index}`,
      value: Math.round(before),
      "data-output": index,
      "aria-describedby": `before-${index}`,
    });
    this.value = element("output", { "data-value": index, "aria-live": "off" });
    this.difference = element("output", { "data-difference": index, "aria-live": "off" });
    this.value.htmlFor = this.difference.htmlFor = `output-${index}`;
    this.stays = element("button", { type: "button", "data-stays": index }, ["stays as it is"]);
    this.stays.setAttribute("aria-label", `${name} stays as it is`);
    this.stays.addEventListener("click", () => this.stay());
    this.input.addEventListener("input", () => this.move("moved"));
    this.element = this.draw(index);
    this.write();
  }

  draw(index) {
    const at = element("span", { className: "mark", "aria-hidden": "true" });
    at.style.setProperty("--at", this.before / 100);
    return element("div", { className: "row", "data-row": index }, [
      element("label", { for: `output-${index}` }, [this.name]),
      element("span", { className: "before", id: `before-${index}` }, [
        `before: ${percent(this.before)}`,
      ]),
      element("div", { className: "scale" }, [
        element("span", { "aria-hidden": "true" }, ["no"]),
        element("div", { className: "track" }, [at, this.input]),
        element("span", { "aria-hidden": "true" }, ["yes"]),
      ]),
      element("p", { className: "set" }, [this.value, this.difference]),
      this.stays,
    ]);
  }

  stay() {
    this.input.value = Math.round(this.before);
    this.move("stays");
  }

  move(state) {
    this.state = state;
    this.write();
    this.changed();
  }

  // At the mark the answer is exactly the answer before, which need not be an integer.
  after() {
    const set = this.input.valueAsNumber;
    return set === Math.round(this.before) ? this.before : set;
  }

  write() {
    const isSet = this.state !== "untouched";
    const difference = points(this.input.valueAsNumber - Math.round(this.before));
    this.element.dataset.state = this.state;
    this.stays.setAttribute("aria-pressed", String(this.state === "stays"));
    this.value.textContent = isSet ? percent(this.input.value) : "not set yet";
    this.difference.textContent = isSet ? difference : "";
    const spoken = isSet ? difference : "not set yet";
    this.input.setAttribute("aria-valuetext", `${percent(this.input.value)}, ${spoken}`);
  }
}

// The slider for "how sure": unset until somebody touches it.
class Confidence {
  constructor(changed) {
    this.isSet = false;
    this.changed = changed;
    this.input = slider({ id: "confidence", value: 50, className: "unset" });
    this.value = element("output", { id: "confidence-value", "aria-live": "off" });
    this.value.htmlFor = "confidence";
    // A click in the middle changes no value and makes no "input".
    for (const kind of ["input", "click"]) this.input.addEventListener(kind, () => this.set());
    this.element = element("div", { className: "row", "data-state": "untouched" }, [
      element("label", { className: "question", for: "confidence" }, [
        "How sure are you that the attribute you moved most is the one that changes most?",
      ]),
      element("div", { className: "scale" }, [
        element("span", { "aria-hidden": "true" }, ["0 %"]),
        element("div", { className: "track" }, [this.input]),
        element("span", { "aria-hidden": "true" }, ["100 %"]),
      ]),
      element("p", { className: "set" }, [this.value]),
    ]);
    this.write();
  }

  set() {
    this.isSet = true;
    this.write();
    this.changed();
  }

  write() {
    const text = this.isSet ? `${this.input.value} % sure` : "not set yet";
    this.value.textContent = text;
    this.input.setAttribute("aria-valuetext", text);
    this.input.classList.toggle("unset", !this.isSet);
    this.element.dataset.state = this.isSet ? "moved" : "untouched";
  }
}

// "3 of 14", counted apart for practice and the study itself.
function progress(place) {
  const isPractice = place < session.practice;
  const total = isPractice ? session.practice : session.trials.length - session.practice;
  const done = isPractice ? place : place - session.practice;
  const words = `${done + 1} of ${total}`;
  return {
    title: isPractice ? `Practice ${words}` : words,
    bar: element("progress", { value: done, max: total, "aria-label": `${done} of ${total} done` }),
  };
}

function explanation({ explanation: source, explanation_title: title }) {
  if (!source) return null;
  const name = title || "Explanation";
  const large = element("dialog", { id: "large", "aria-label": name });
  const close = button("large-close", "Close", () => large.close());
  large.append(picture({ src: source, alt: name }), close);
  large.addEventListener("click", () => large.close());
  const open = element("button", { type: "button", id: "enlarge", className: "picture" }, [
    picture({ src: source, id: "explanation", alt: name }),
    element("span", {}, ["enlarge"]),
  ]);
  open.setAttribute("aria-label", `Enlarge: ${name}`);
  open.addEventListener("click", () => large.showModal());
  return element("figure", {}, [open, element("figcaption", {}, [name]), large]);
}

function task({ operation, instruction }) {
  const title = instruction ? "Please read" : "What is changed in the network";
  const text = instruction || operation;
  return element("div", { className: instruction ? "task instruction" : "task" }, [
    element("h2", {}, [title]),
    element("p", { id: instruction ? "instruction" : "operation" }, [text]),
  ]);
}

class PredictionPlugin {
  static info = info("prediction", { item: { type: OBJECT } });

  constructor(jsPsych) {
    this.jsPsych = jsPsych;
  }

  trial(display, { item }) {
    const changed = () => this.check();
    this.item = item;
    this.rows = item.attributes.map((attribute, index) => new Row(attribute, index, changed));
    this.confidence = new Confidence(changed);
    this.store = button("store", "Store and go on", () => this.send());
    this.store.className = "main";
    this.missing = element("p", { id: "missing", className: "soft", "aria-live": "polite" });
    this.fields = element("fieldset", {}, [
      element("legend", {}, ["The network's answers after the change"]),
      element("p", { className: "soft" }, [
        "The mark on each line is the answer before the change. Move the slider to the answer " +
          "that you expect afterwards, or press “stays as it is”.",
      ]),
      ...this.rows.map((row) => row.element),
      this.confidence.element,
      element("div", { className: "buttons" }, [this.store, this.missing]),
    ]);
    this.draw(display);
    this.watch = stopwatch();
    this.check();
  }

  draw(display) {
    const { title, bar } = progress(this.item.place);
    const alt = "The face that the network sees";
    const face = picture({ src: this.item.face, id: "face", alt });
    const screen = show(display, "trial", title, [
      bar,
      element("div", { className: "trial" }, [
        element("div", { className: "subject" }, [
          element("div", { className: "pictures" }, [
            element("figure", {}, [face, element("figcaption", {}, ["The face"])]),
            explanation(this.item),
          ]),
          task(this.item),
        ]),
        this.fields,
      ]),
    ]);
    screen.dataset.place = this.item.place;
    this.pictures = [...screen.querySelectorAll("#face, #explanation")];
    for (const shown of this.pictures) shown.addEventListener("load", () => this.check());
  }

  check() {
    const open = this.rows.filter((row) => row.state === "untouched").map((row) => row.name);
    if (!this.confidence.isSet) open.push("how sure you are");
    const isSeen = this.pictures.every((shown) => shown.complete && shown.naturalWidth > 0);
    if (!isSeen) open.unshift("the pictures (still loading)");
    this.store.disabled = open.length > 0;
    const short = open.length > 4 ? [...open.slice(0, 3), `${open.length - 3} more`] : open;
    const text = open.length ? `Still open: ${short.join(", ")}.` : "";
    if (this.missing.textContent !== text) this.missing.textContent = text;
  }

  async send() {
    const seconds = this.watch.seconds();
    this.fields.disabled = true;
    try {
      await deliver({
        place: this.item.place,
        after: this.rows.map((row) => row.after()),
        confidence: this.confidence.input.valueAsNumber,
        seconds: Math.min(LONGEST_TRIAL, Math.round(1000 * seconds) / 1000),
      });
    } catch (error) {
      fail(error);
    }
    this.watch.stop();
    // Whoever withdrew here is on another screen already.
    if (this.store.isConnected) this.jsPsych.finishTrial({ place: this.item.place, seconds });
  }
}

// ---- Feedback -------------------------------------------------------------------------------

function outcome(label, kind, value, difference) {
  const inner = element("span", { className: kind });
  inner.style.width = `${Math.max(0, Math.min(100, value))}%`;
  return element("tr", {}, [
    element("th", { scope: "row" }, [label]),
    element("td", { className: "number" }, [percent(value)]),
    element("td", { className: "difference" }, [difference]),
    element("td", { className: "line", "aria-hidden": "true" }, [
      element("span", { className: "bar" }, [inner]),
    ]),
  ]);
}

class FeedbackPlugin {
  static info = info("feedback", { shown: { type: OBJECT } });

  constructor(jsPsych) {
    this.jsPsych = jsPsych;
  }

  trial(display, { shown: { trial, said, truth } }) {
    feedback = null;
    const tables = trial.attributes.map(({ name, before }, index) =>
      element("table", { "data-feedback": index }, [
        element("caption", {}, [name]),
        outcome("before", "was", before, ""),
        outcome("you said", "said", said[index], points(said[index] - before)),
        outcome("what happened", "truth", truth[index], points(truth[index] - before)),
      ]),
    );
    const next = button("next", "Go on", () => this.jsPsych.finishTrial({}));
    next.className = "main";
    show(display, "feedback", "What happened", [
      element("p", {}, [trial.operation]),
      element("div", { className: "outcomes" }, tables),
      element("div", { className: "buttons" }, [next]),
    ]);
  }
}

// ---- The end --------------------------------------------------------------------------------

async function copy() {
  const code = $("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    // Only a page over HTTPS or from this computer may write to the clipboard.
    getSelection().selectAllChildren(code);
    document.execCommand("copy");
  }
  $("copied").textContent = "copied";
}

function completion() {
  const { code, completion_link: link } = session;
  if (!code && !link) return [];
  const shown = [];
  if (code) {
    shown.push(
      element("h2", { id: "code-title" }, ["Your completion code"]),
      element("p", { className: "code" }, [
        element("output", { id: "code", "aria-labelledby": "code-title" }, [code]),
        button("copy", "Copy", copy),
        element("span", { id: "copied", role: "status", className: "soft" }),
      ]),
    );
  }
  if (link) {
    const back = element("a", { id: "completion", href: link }, ["Finish and go back"]);
    shown.push(element("p", {}, [back]));
  }
  return shown;
}

const ENDS = {
  finished: ["Thank you", () => [...paragraphs(session.debriefing || []), ...completion()]],
  declined: [
    "You did not agree",
    () => [
      ...paragraphs(["The study ends here. You can close this page."]),
      element("div", { className: "buttons" }, [
        button("again", "Read the information again", () => location.reload()),
      ]),
    ],
  ],
  withdrawn: [
    "Your answers are deleted",
    () => paragraphs(["You have withdrawn from the study. You can close this page."]),
  ],
  failed: [
    "The study cannot go on",
    () => [
      element("p", { id: "problem", className: "error", role: "alert" }, [problem]),
      element("div", { className: "buttons" }, [
        button("again", "Load the page again", () => location.reload()),
      ]),
    ],
  ],
};

class EndPlugin {
  static info = info("end");

  trial(display) {
    const name = ending || "finished";
    const [title, draw] = ENDS[name];
    show(display, name, title, draw());
  }
}

// ---- The order of the screens ---------------------------------------------------------------

const isIn = () => ending === null && session.consented && !session.finished;
const goesOn = () => isIn() && session.next < session.trials.length;
const when = (condition, ...timeline) => ({ timeline, conditional_function: condition });

function order() {
  const consent = { type: ConsentPlugin };
  const instructions = {
    type: PagesPlugin,
    screen: "instructions",
    title: "Instructions",
    pages: () => session.instructions,
  };
  const between = {
    type: PagesPlugin,
    screen: "between",
    title: "End of the practice",
    pages: [
      [
        "Now the study itself begins. From here on you are not told what happened.",
        "Your answers are stored after each face. You can take a break at any time.",
      ],
    ],
  };
  const isBetween = () => goesOn() && session.practice > 0 && session.next === session.practice;
  const prediction = { type: PredictionPlugin, item: () => session.trials[session.next] };
  const outcomes = when(() => ending === null && feedback !== null, {
    type: FeedbackPlugin,
    shown: () => feedback,
  });
  return [
    when(() => ending === null && !session.consented, consent),
    when(() => goesOn() && session.next === 0 && session.instructions.length > 0, instructions),
    outcomes,
    {
      ...when(goesOn, when(isBetween, between), when(goesOn, prediction), outcomes),
      loop_function: goesOn,
    },
    // An end can follow an end: somebody withdraws on the last screen.
    { timeline: [{ type: EndPlugin }], loop_function: () => true },
  ];
}

async function start() {
  const saving = element("p", { id: "saving", role: "status", "aria-live": "polite" });
  $("study").append(saving);
  say("Loading …");
  try {
    await renew();
    await sendKept();
  } catch (error) {
    fail(error);
  }
  jsPsych = initJsPsych({ display_element: "study" });
  await jsPsych.run(order());
}

start();
