/** Follows a call in progress by get_call, until it has ended, while the page is visible and the host allows it. */
class CallWatch {
  #host;
  #onResult;
  #onFailure;
  #id = null;
  #timer = 0;
  #requests = 0;
  #errors = 0;
  #isWaiting = false;

  /** `onResult` gets each result; `onFailure` is called when the watch gives up although the call goes on. */
  constructor(host, onResult, onFailure) {
    [this.#host, this.#onResult, this.#onFailure] = [host, onResult, onFailure];
    document.addEventListener("visibilitychange", () => this.#schedule(0));
    host.on("ui/resource-teardown", () => this.stop());
  }

  follow(id) {
    if (id === this.#id) return;
    [this.#id, this.#requests, this.#errors] = [id, 0, 0];
    this.#schedule(1000); // soon, because a host may show the old result of a call that has ended since
  }

  stop() {
    this.#id = null;
    clearTimeout(this.#timer);
  }

  #schedule(delay) {
    clearTimeout(this.#timer);
    if (this.#id !== null && !document.hidden) this.#timer = setTimeout(() => this.#request(), delay);
  }

  async #request() {
    const id = this.#id;
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    const result = await this.#host.callTool("get_call", { call_id: id, wait_seconds: 0 }).catch(() => null);
    this.#isWaiting = false;
    if (id === this.#id) this.#receive(result);
    // Every 5 s for 3 minutes, which is as long as most calls take, then less often.
    this.#schedule(++this.#requests < 36 ? 5000 : 20_000);
  }

  #receive(result) {
    this.#errors = result?.isError ? this.#errors + 1 : 0;
    if (result === null || this.#errors === 3) {
      this.stop();
      this.#onFailure();
    } else if (!result.isError) {
      this.#onResult(result);
    }
  }
}
