/** Puts what `shown` returns on the page of the call card. */

const ICONS = {
  correct: "phone", correct2: "phone", correct3: "phone", cancel: "slash", now: "phone", again: "phone", chat: "speech", check: "renew", look: "speech", next: "phone", stop: "slash", calendar: "calendar", conversation: "speech",
};

class CallPage {
  #host;
  #on;
  #conversation;
  #buttons = {};
  #elapsed = null; // {seconds, since}: how long the call had lasted at `since`, in ms of the page's clock

  /** `on`: {choice, yes, no, quote}: called with the name and the button of a choice, when the question is answered, and
   * with the time of a quotation that is to be shown in its conversation. */
  constructor(host, on) {
    [this.#host, this.#on] = [host, on];
    this.#conversation = new Conversation(host, (text) => this.note(text));
    for (const name of CHOICES) {
      const press = (event) => on.choice(name, event.currentTarget);
      this.#buttons[name] = element("button", { type: "button", onclick: press }, ICONS[name] && icon(ICONS[name]), element("span"));
    }
    for (const name of ["open", "sign_in"]) this.#buttons[name].append(outward());
    this.#buttons.conversation.setAttribute("aria-controls", "conversation");
    byId("choices").append(...Object.values(this.#buttons));
    byId("consent-yes").addEventListener("click", on.yes);
    byId("consent-no").addEventListener("click", on.no);
    setInterval(() => this.#tick(), 1000);
  }

  /** Shows what `shown` returns. */
  show(view) {
    document.title = view.callee;
    document.body.dataset.tone = view.tone;
    this.#disc(view);
    setText("status", view.status);
    showParts("name", view.headline.split(DOT));
    byId("name").classList.toggle("past", view.isPast);
    this.#facts(view.facts);
    setText("about", view.about);
    setText("said", view.said);
    this.#dial(view.dial);
    byId("heard").replaceChildren(...view.heard.map((entry) => turn(entry, view.speaker)));
    byId("heard").hidden = !view.heard.length;
    byId("heard").setAttribute("aria-label", locale.text("heard"));
    this.#answers(view);
    byId("candidates").replaceChildren(...(view.rows ?? []).map(candidate));
    byId("candidates").hidden = !view.rows;
    this.#report(view.report);
    this.#question(view.question);
    this.#choices(view);
    byId("conversation").hidden = !view.talk?.isOpen;
    if (view.talk) this.#conversation.show(view.talk.entries, view.speaker);
    byId("details").hidden = !view.details.length;
    byId("details-title").textContent = locale.text("details");
    byId("details-facts").replaceChildren(...factList(view.details));
  }

  /** Shows the user a short text. */
  note(text) {
    byId("notice").textContent = text;
  }

  /** Shows the turn of the conversation that began at `time` ("0:34"). */
  focusTurn(time) {
    this.#conversation.focusTurn(time);
  }

  focusHeading() {
    byId("heading").focus();
  }

  focusQuestion() {
    byId("consent-title").focus();
  }

  focusFirstChoice() {
    const first = Object.values(this.#buttons).find((button) => !button.hidden);
    first?.focus();
  }

  #disc({ state, icons }) {
    const disc = byId("disc");
    if (disc.dataset.state !== state) disc.replaceChildren(icon(...icons)); // else an animation would begin again
    disc.dataset.state = state;
  }

  #facts(facts) {
    this.#elapsed = null;
    const shownFacts = facts.map(({ text, number, elapsed, since }) => {
      if (number !== undefined) return this.#phone(number, {}, phoneNumber(number));
      if (elapsed === undefined) return element("bdi", {}, text);
      this.#elapsed = { seconds: elapsed, since };
      return element("span", { id: "time", role: "timer" });
    });
    showParts("facts", shownFacts);
    this.#tick();
  }

  /** A link that calls a number from the person's own phone. */
  #phone(number, attributes, ...children) {
    const denied = () => this.note(locale.text("denied"));
    return link(this.#host, `tel:${number}`, denied, { dir: "ltr", ...attributes }, ...children);
  }

  #dial(number) {
    byId("dial").hidden = !number;
    byId("dial").replaceChildren(...(number ? [this.#phone(number, { class: "button dial" }, icon("phone"), number)] : []));
  }

  #answers({ answers, choices }) {
    const hasTalk = choices.some((choice) => choice.name === "conversation");
    byId("answers").hidden = !answers.length;
    byId("answers").replaceChildren(...answers.map((answer) => this.#answer(answer, hasTalk)));
  }

  #answer({ question, reply, at, isHedged, isHeadline }, hasTalk) {
    const show = (event) => {
      event.preventDefault();
      this.#on.quote(at);
    };
    const label = locale.text("at_time", { time: at });
    const time = hasTalk ? element("a", { href: "#conversation", "aria-label": label, onclick: show }, at) : element("span", {}, at);
    const hedge = isHedged && element("span", { class: "soft" }, ` ${locale.text("not_certain")}`);
    if (isHeadline) {
      const said = at && element("span", { class: "at" }, time);
      return element("li", {}, element("p", { class: "soft", dir: "auto" }, element("bdi", {}, question), " ", said, hedge));
    }
    return element(
      "li",
      {},
      question && element("p", { class: "soft", dir: "auto" }, question),
      reply
        ? element("p", { class: "reply" }, element("bdi", {}, reply), " ", at && element("span", { class: "at" }, time), hedge)
        : element("p", { class: "reply missing" }, locale.text("unanswered")),
    );
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
    showParts("consent-what", question.what);
    byId("consent-what").hidden = !question.what.length;
    byId("consent-numbers").replaceChildren(...question.numbers.map(numberRow));
    byId("consent-no").textContent = question.no;
    byId("consent-yes").textContent = question.yes;
    for (const id of ["consent-no", "consent-yes"]) byId(id).hidden = !question.canAnswer;
    setText("consent-chat", question.canAnswer ? "" : locale.text("answer_in_chat"));
    setText("consent-reason", question.reason);
    byId("consent-facts").replaceChildren(...factList(question.facts));
  }

  #choices({ choices, talk }) {
    for (const [name, button] of Object.entries(this.#buttons)) {
      const choice = choices.find((one) => one.name === name);
      button.hidden = !choice;
      button.querySelector("span").textContent = choice?.label ?? "";
      button.classList.toggle("primary", choice?.isPrimary === true);
    }
    this.#buttons.conversation.setAttribute("aria-expanded", String(talk?.isOpen === true));
  }
}

/** A number that will be called. */
function numberRow(parts) {
  return element("li", { class: "parts" }, ...dotted(parts.map((part) => element("bdi", {}, part))));
}

/** A candidate's row of the list. */
function candidate({ icons, tone, name, number, said, reported }) {
  return element(
    "li",
    { class: "candidate", "data-tone": tone },
    element("span", { class: "badge" }, icon(...icons)),
    element(
      "div",
      {},
      element("p", {}, element("bdi", { class: "candidate-name" }, name), " ", number && element("bdi", { class: "soft", dir: "ltr" }, number)),
      element("p", { class: "candidate-state" }, said),
      ...reported.map((text) => element("p", { class: "words", dir: "auto" }, text)),
    ),
  );
}
