"use strict";

const at = (id) => document.getElementById(id);
const keys = { y: "yes", n: "no", s: "skip" };
let view = null;
let busy = false;

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

function show(next) {
  const chosen = view && next.learned_from !== view.learned_from;
  const same = view && view.face === next.face;
  view = next;
  const done = view.face === null;
  if (!same && !done) at("face").src = `/image?face=${view.face}`;
  at("face").hidden = done;
  at("question").textContent = done
    ? "All faces are labelled."
    : `${view.attribute.replaceAll("_", " ")}?`;
  for (const id of ["yes", "no", "skip"]) at(id).disabled = done;
  at("undo").disabled = view.answers === 0;
  at("progress").value = view.labelled / view.faces;
  const how = view.held_out ? "at random, for the accuracy estimate" : `by ${view.chosen_by}`;
  at("counts").textContent =
    `${view.labelled} of ${view.faces} faces labelled. This one is chosen ${how}.`;
  const words = [];
  if (view.is_learning) words.push("The network is learning …");
  else words.push(`The network learns again after ${view.learns_in} more faces.`);
  if (view.learned_from !== null) {
    words.push(`It has learned from ${view.learned_from} faces${chosen ? " and has just chosen anew" : ""}.`);
    if (view.accuracy !== null) {
      const percent = (100 * view.accuracy).toFixed(1);
      words.push(`Accuracy on ${view.accuracy_over} held-out faces: ${percent} %.`);
    }
  }
  at("learning").textContent = words.join(" ");
  say(view.problem);
}

async function act(path, body) {
  if (busy) return;
  busy = true;
  try {
    show(await ask(path, body));
  } catch (e) {
    say(`${e.message}. The answer may not have been kept: look at the question, and try again.`);
  } finally {
    busy = false;
  }
}

function answer(answer) {
  if (view && view.face !== null) {
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
setInterval(() => act("/api/state"), 3000);
