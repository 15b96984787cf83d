/** Follows a call under way through get_call: until it has ended, while the page is seen, and while the host lets it. */
class Watch {
  #host;
  #heard;
  #lost;
  #id = null;
  #timer = 0;
  #asked = 0;
  #failed = 0;
  #asking = false;

  /** `heard` gets each result, `lost` is called when asking has no sense any more though the call goes on. */
  constructor(host, heard, lost) {
    [this.#host, this.#heard, this.#lost] = [host, heard, lost];
    document.addEventListener("visibilitychange", () => this.#later(0));
    host.on("ui/resource-teardown", () => this.stop());
  }

  follow(id) {
    if (id === this.#id) return;
    [this.#id, this.#asked, this.#failed] = [id, 0, 0];
    this.#later(1000); // soon: a host may show an old result again, of a call that has long ended
  }

  stop() {
    this.#id = null;
    clearTimeout(this.#timer);
  }

  #later(delay) {
    clearTimeout(this.#timer);
    if (this.#id !== null && !document.hidden) this.#timer = setTimeout(() => this.#ask(), delay);
  }

  async #ask() {
    const id = this.#id;
    if (this.#asking) return;
    this.#asking = true;
    const result = await this.#host.callTool("get_call", { call_id: id, wait_seconds: 0 }).catch(() => null);
    this.#asking = false;
    if (id === this.#id) this.#take(result);
    // Every 5 s for the 3 minutes that most calls take, then less often.
    this.#later(++this.#asked < 36 ? 5000 : 20_000);
  }

  #take(result) {
    this.#failed = result?.isError ? this.#failed + 1 : 0;
    if (result === null || this.#failed === 3) {
      this.stop();
      this.#lost();
    } else if (!result.isError) {
      this.#heard(result);
    }
  }
}
