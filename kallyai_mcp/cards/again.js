/** Asks before ringing again, with the number and all that the voice on the phone will be given. */
class RingAgain {
  #dialog = byId("again");
  #ring = null;

  constructor() {
    byId("again-no").addEventListener("click", () => this.#dialog.close());
    byId("again-yes").addEventListener("click", () => {
      const ring = this.#ring;
      this.#dialog.close();
      ring?.();
    });
    this.#dialog.addEventListener("close", () => {
      this.#ring = null;
      document.body.style.minHeight = "";
    });
  }

  /**
   * Opens; `ring` is called once if the answer is yes. `input` are the arguments of make_call, `preview` what the
   * server wants its user to read first, which says all that they do and more, or "".
   */
  ask(input, title, preview, ring) {
    this.#ring = ring;
    byId("again-title").textContent = title;
    byId("again-text").textContent = voice.say("dialog_text");
    byId("again-no").textContent = voice.say("cancel");
    byId("again-yes").textContent = voice.say("ring_now");
    put("again-preview", preview);
    byId("again-facts").hidden = Boolean(preview);
    const facts = [["number", phone(input.respondent_phone)], ...errand(input)].filter(([, value]) => value);
    byId("again-facts").replaceChildren(
      ...facts.flatMap(([key, value]) => [
        el("dt", {}, voice.say(key)),
        el("dd", { class: "words", dir: key === "number" ? "ltr" : "auto" }, value),
      ]),
    );
    this.#dialog.showModal();
    // A modal dialog adds nothing to the page's height, and the frame is only as high as the page.
    document.body.style.minHeight = `${this.#dialog.scrollHeight + 32}px`;
  }
}

function errand(input) {
  const date = input.appointment_date ? voice.date(input.appointment_date) : "";
  const wishes = Array.isArray(input.additional_instructions) ? input.additional_instructions : [];
  return [
    ["errand", plain(input.task_description, LIMIT.page)],
    ["for_whom", line(input.user_name)],
    ["when", [date, line(input.appointment_time, 20), line(input.time_preference_text)].filter(Boolean).join(", ")],
    ["people", line(String(input.party_size ?? ""), 10)],
    ...wishes.slice(0, 20).map((wish) => ["also", plain(wish)]),
  ];
}
