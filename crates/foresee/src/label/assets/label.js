"use strict";

const at = (id) => document.getElementById(id);
const keys = { y: "yes", n: "no", s: "skip" };
let view = null;
let busy = false;
let actions = 0;

function say(problem) {
  at("error").hidden = !problem;
  at("error").textContent = problem || "";
}

async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(path, options);
  const answer = await response.json();
  // 409: another question is open by now. The next view shows it.
  if (!response.ok && response.status !== 409) throw new Error(answer.error);
  return response.ok ? answer : ask("/api/state");
}

const percent = (share) => (100 * share).toFixed(1);

// Wilson's interval of a share of so many.
function wilson(share, count) {
  const z2 = 1.96 ** 2 / count;
  const middle = share + z2 / 2;
  const half = Math.sqrt(z2 * (share * (1 - share) + z2 / 4));
  return [(middle - half) / (1 + z2), (middle + half) / (1 + z2)];
}

// A face is answered only when it is seen: until then the one before would stand there.
let seen = null;
at("face").addEventListener("load", () => {
  seen = at("face").dataset.face;
  enable();
});

function enable() {
  const open = view !== null && view.face !== null && seen === String(view.face);
  for (const id of ["yes", "no"]) at(id).disabled = !open;
  at("skip").disabled = view === null || view.face === null;
}

function show(next) {
  const chosen = view && next.learned_from !== view.learned_from;
  const same = view && view.face === next.face;
  view = next;
  const done = view.face === null;
  if (!same && !done) {
    at("face").dataset.face = view.face;
    at("face").src = `/image?face=${view.face}`;
  }
  at("face").hidden = done;
  at("question").textContent = done
    ? "All faces are labelled."
    : `${view.attribute.replaceAll("_", " ")}?`;
  enable();
  at("undo").disabled = view.answers === 0;
  at("progress").value = view.labelled / view.faces;
  const how = view.held_out ? "at random, for the accuracy estimate" : `by ${view.chosen_by}`;
  const known = !done && (view.held_out || view.chosen_by !== null);
  at("counts").textContent =
    `${view.labelled} of ${view.faces} faces labelled.` + (known ? ` This one is chosen ${how}.` : "");
  const words = [];
  if (view.is_learning) words.push("The network is learning …");
  else if (view.learns_in === 0) words.push("The network learns next.");
  else words.push(`The network learns again after ${view.learns_in} more faces that it may learn from.`);
  if (view.learned_from !== null) {
    words.push(`It has learned from ${view.learned_from} faces${chosen ? " and has just chosen anew" : ""}.`);
    if (view.accuracy !== null) {
      const [low, high] = wilson(view.accuracy, view.accuracy_over);
      words.push(
        `Accuracy on ${view.accuracy_over} held-out faces: ${percent(view.accuracy)} % ` +
          `(95 % interval: ${percent(low)} to ${percent(high)} %).`,
      );
    }
  }
  at("learning").textContent = words.join(" ");
  say(view.problem);
}

async function act(path, body) {
  if (busy) return;
  busy = true;
  actions += 1;
  try {
    show(await ask(path, body));
  } catch (e) {
    say(`${e.message}. The answer may not have been kept: look at the question, and try again.`);
  } finally {
    busy = false;
  }
}

function answer(answer) {
  if (view && view.face !== null && !at(answer).disabled) {
    act("/api/answer", { face: view.face, attribute: view.attribute, answer });
  }
}

for (const id of ["yes", "no", "skip"]) at(id).addEventListener("click", () => answer(id));
at("undo").addEventListener("click", () => act("/api/undo", {}));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  const key = event.key.toLowerCase();
  if (keys[key]) answer(keys[key]);
  else if (key === "u" || key === "backspace") act("/api/undo", {});
});
act("/api/state");
// Looks for news without being in the way of a key: what comes after an action began is old.
setInterval(async () => {
  const before = actions;
  try {
    const news = await ask("/api/state");
    if (!busy && before === actions) show(news);
  } catch (e) {
    say(e.message);
  }
}, 3000);
