/** Puts what `shown` returns on the page of the call card. */

const ICONS = {
  open: "widen", again: "phone", chat: "speech", check: "phone", next: "phone", stop: "slash", calendar: "calendar", conversation: "speech",
};

class CallPage {
  #conversation;
  #buttons = {};
  #elapsed = null; // {seconds, since}: how long the call had lasted at `since`, in ms of the page's clock

  /** `on`: {choice, yes, no}, called with the name and the button of a choice, or when the question is answered. */
  constructor(host, on) {
    this.#conversation = new Conversation(host, (text) => this.note(text));
    for (const name of CHOICES) {
      const press = (event) => on.choice(name, event.currentTarget);
      this.#buttons[name] = element("button", { type: "button", onclick: press }, icon(ICONS[name]), element("span"));
    }
    this.#buttons.conversation.setAttribute("aria-controls", "conversation");
    byId("choices").append(...Object.values(this.#buttons));
    byId("consent-yes").addEventListener("click", on.yes);
    byId("consent-no").addEventListener("click", on.no);
    setInterval(() => this.#tick(), 1000);
  }

  /** Shows `view`; its call had lasted `elapsed` seconds at `receivedAt`, in ms of the page's clock. */
  show(view, receivedAt) {
    document.title = view.callee;
    document.body.dataset.tone = view.tone;
    this.#disc(view);
    setText("status", view.status);
    setText("name", view.headline);
    this.#facts(view.facts, receivedAt);
    setText("about", view.about);
    setText("said", view.said);
    byId("candidates").replaceChildren(...(view.rows ?? []).map(candidate));
    byId("candidates").hidden = !view.rows;
    this.#report(view.report);
    this.#question(view.question);
    this.#choices(view);
    byId("conversation").hidden = !view.talk?.isOpen;
    if (view.talk) this.#conversation.show(view.talk.entries, view.callee);
    byId("details").hidden = !view.details.length;
    byId("details-title").textContent = locale.text("details");
    byId("details-facts").replaceChildren(...factList(view.details));
  }

  /** Shows the user a short text. */
  note(text) {
    byId("notice").textContent = text;
  }

  focusHeading() {
    byId("heading").focus();
  }

  focusQuestion() {
    byId("consent-title").focus();
  }

  focusChoice(name) {
    this.#buttons[name].focus();
  }

  #disc({ state, icons }) {
    const disc = byId("disc");
    if (disc.dataset.state !== state) disc.replaceChildren(icon(...icons)); // else an animation would begin again
    disc.dataset.state = state;
  }

  #facts(facts, since) {
    this.#elapsed = null;
    const shownFacts = facts.map((fact) => {
      if (fact.elapsed === undefined) return element("bdi", {}, fact.text);
      this.#elapsed = { seconds: fact.elapsed, since };
      return element("span", { id: "time", role: "timer" });
    });
    byId("facts").replaceChildren(...shownFacts.map((fact) => element("span", { class: "fact" }, fact)));
    this.#tick();
  }

  /** The time since the call was placed: shown each second, announced to screen readers each minute. */
  #tick() {
    if (!this.#elapsed) return;
    const elapsed = this.#elapsed.seconds + (performance.now() - this.#elapsed.since) / 1000;
    const said = locale.text("so_far", { time: duration(elapsed) });
    byId("time").textContent = said;
    if (elapsed >= 60 && Math.floor(elapsed) % 60 === 0) announce(`${locale.text("in_progress")}: ${said}`);
  }

  #report(report) {
    for (const id of ["summary", "steps"]) {
      setText(id, report[id]);
      byId(id).parentElement.hidden = !report[id];
      byId(`${id}-title`).textContent = locale.text(id);
    }
    byId("report").hidden = !(report.summary || report.steps);
  }

  #question(question) {
    byId("consent").hidden = !question;
    if (!question) return;
    byId("consent-title").textContent = question.title;
    byId("consent-text").textContent = question.text;
    byId("consent-no").textContent = locale.text("dont_call");
    byId("consent-yes").textContent = locale.text("call_now");
    for (const id of ["consent-no", "consent-yes"]) byId(id).hidden = !question.canAnswer;
    setText("consent-chat", question.canAnswer ? "" : locale.text("answer_in_chat"));
    setText("consent-reason", question.reason);
    byId("consent-facts").replaceChildren(...factList(question.facts));
  }

  #choices({ choices, talk }) {
    for (const [name, button] of Object.entries(this.#buttons)) {
      const choice = choices.find((one) => one.name === name);
      button.hidden = !choice;
      button.lastChild.textContent = choice?.label ?? "";
      button.classList.toggle("primary", choice?.isPrimary === true);
    }
    this.#buttons.conversation.setAttribute("aria-expanded", String(talk?.isOpen === true));
  }
}

/** A candidate's row of the list. */
function candidate({ icons, tone, name, number, said, reported }) {
  return element(
    "li",
    { class: "candidate", "data-tone": tone },
    element("span", { class: "dot" }, icon(...icons)),
    element(
      "div",
      {},
      element("p", {}, element("bdi", { class: "candidate-name" }, name), " ", number && element("bdi", { class: "soft", dir: "ltr" }, number)),
      element("p", { class: "candidate-state" }, said),
      ...reported.map((text) => element("p", { class: "words", dir: "auto" }, text)),
    ),
  );
}
