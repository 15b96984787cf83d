/** The dialog that asks the user before a call is placed, with the number and everything that KallyAI gets. */
class CallDialog {
  #dialog = byId("dialog");
  #onConfirm = null;

  constructor() {
    byId("dialog-cancel").addEventListener("click", () => this.#dialog.close());
    byId("dialog-confirm").addEventListener("click", () => {
      const onConfirm = this.#onConfirm;
      this.#dialog.close();
      onConfirm?.();
    });
    this.#dialog.addEventListener("close", () => {
      this.#onConfirm = null;
      document.body.style.minHeight = "";
    });
  }

  /**
   * Opens the dialog.
   *
   * @param input The arguments of make_call.
   * @param title The question.
   * @param preview The text that the server wants the user to read first, or "". It replaces the arguments, since it
   *   contains them all.
   * @param onConfirm Called once if the user agrees.
   */
  ask(input, title, preview, onConfirm) {
    this.#onConfirm = onConfirm;
    byId("dialog-title").textContent = title;
    byId("dialog-text").textContent = locale.text("dialog_text");
    byId("dialog-cancel").textContent = locale.text("cancel");
    byId("dialog-confirm").textContent = locale.text("call_now");
    setText("dialog-preview", preview);
    byId("dialog-facts").hidden = Boolean(preview);
    const facts = [["number", phoneNumber(input.respondent_phone)], ...details(input)].filter(([, value]) => value);
    byId("dialog-facts").replaceChildren(
      ...facts.flatMap(([key, value]) => [
        element("dt", {}, locale.text(key)),
        element("dd", { class: "words", dir: key === "number" ? "ltr" : "auto" }, value),
      ]),
    );
    this.#dialog.showModal();
    // A modal dialog adds nothing to the page's height, and the frame is only as high as the page.
    document.body.style.minHeight = `${this.#dialog.scrollHeight + 32}px`;
  }
}

/** What KallyAI gets, as pairs of a key of the texts and a value. */
function details(input) {
  const date = input.appointment_date ? locale.date(input.appointment_date) : "";
  const instructions = Array.isArray(input.additional_instructions) ? input.additional_instructions : [];
  return [
    ["task", plain(input.task_description, LIMIT.page)],
    ["on_behalf_of", oneLine(input.user_name)],
    ["when", [date, oneLine(input.appointment_time, 20), oneLine(input.time_preference_text)].filter(Boolean).join(", ")],
    ["people", oneLine(String(input.party_size ?? ""), 10)],
    ...instructions.slice(0, 20).map((instruction) => ["also", plain(instruction)]),
  ];
}
