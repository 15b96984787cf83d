/** Cleans text from outside, and gives the card's own texts, days, and numbers in the reader's language and time zone. */

/** How much of a text is shown, in characters. */
const LIMIT = { name: 120, line: 600, turn: 3000, page: 6000 };

// Characters that change the text direction or are invisible. Joiners stay: some scripts and emoji need them.
const HIDDEN = /[\u061c\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Cs}]/gu;
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** `text` with control characters as symbols (U+2400…) and hidden ones as U+FFFD, cut at `limit`; "" for a non-string. */
function plain(text, limit = LIMIT.line) {
  if (typeof text !== "string") return "";
  const kept = Array.from(text.slice(0, limit * 2 + 2)).slice(0, limit).join("");
  const shown = kept
    .replace(/\r\n?|[\u2028\u2029]/g, "\n")
    .replace(CONTROL, (c) => (c < " " ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : c === "\u007f" ? "\u2421" : "\ufffd"))
    .replace(HIDDEN, "\ufffd");
  const rest = text.length - kept.length;
  return rest ? `${shown}${locale.text("more_characters", { count: locale.number(rest) })}` : shown;
}

/** `plain`, on one line. */
function oneLine(text, limit = LIMIT.name) {
  return plain(text, limit).replace(/\s+/g, " ").trim();
}

/** Country codes of two digits; those of one are 1 and 7, all others have three (ITU-T E.164, annex D). */
const TWO_DIGITS = /^(2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58])/;

function isE164(number) {
  return /^\+\d{7,15}$/.test(number ?? "");
}

/** An E.164 number in groups: "+1 415-555-1234", "+34 912 345 678". Anything else unchanged, on one line. */
function phoneNumber(number) {
  if (!isE164(number)) return oneLine(number, 40);
  const digits = number.slice(1);
  const northAmerican = /^1(\d{3})(\d{3})(\d{4})$/.exec(digits);
  if (northAmerican) return `+1 ${northAmerican.slice(1).join("-")}`;
  const code = /^[17]/.test(digits) ? 1 : TWO_DIGITS.test(digits) ? 2 : 3;
  const groups = digits.slice(code).match(/\d{1,3}/g);
  if (groups.at(-1).length === 1) groups.push(groups.splice(-2).join(""));
  return `+${digits.slice(0, code)} ${groups.join(" ")}`;
}

/** Country calling codes with the regions (ISO 3166) that KallyAI calls there. */
const REGIONS = {
  1: ["US", "CA"], 30: ["GR"], 31: ["NL"], 32: ["BE"], 33: ["FR"], 34: ["ES"], 36: ["HU"], 39: ["IT"], 40: ["RO"], 41: ["CH"],
  43: ["AT"], 44: ["GB"], 45: ["DK"], 46: ["SE"], 47: ["NO"], 48: ["PL"], 49: ["DE"], 52: ["MX"], 351: ["PT"], 352: ["LU"],
  353: ["IE"], 354: ["IS"], 356: ["MT"], 357: ["CY"], 358: ["FI"], 359: ["BG"], 370: ["LT"], 371: ["LV"], 372: ["EE"],
  385: ["HR"], 386: ["SI"], 420: ["CZ"], 421: ["SK"],
};

/** Area codes of +1 outside of the United States and Canada. */
const ELSEWHERE = /^1(242|246|26[48]|284|340|345|441|473|649|658|664|67[01]|684|721|758|767|78[47]|8[024]9|86[89]|876|939)/;

/** The country of a number (E.164) in the reader's language, or both that it may be in; "" if the card does not know it. */
function countryOf(number) {
  const digits = String(number ?? "").slice(1);
  const code = [1, 2, 3].map((length) => digits.slice(0, length)).find((start) => Object.hasOwn(REGIONS, start));
  if (!code || ELSEWHERE.test(digits)) return "";
  const names = new Intl.DisplayNames(locale.tag, { type: "region" });
  return REGIONS[code].map((region) => names.of(region)).join(" / ");
}

/** Seconds as "32 s", "3 min 5 s", "2 h 5 min". */
function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  if (hours) return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
  if (minutes) return rest ? `${minutes} min ${rest} s` : `${minutes} min`;
  return `${rest} s`;
}

/** A transcript's "00:03:05" as "3:05"; anything else unchanged, on one line. */
function timestamp(text) {
  const match = /^(\d+):(\d\d):(\d\d)/.exec(text ?? "");
  if (!match) return oneLine(text, 20);
  const [hours, minutes] = [Number(match[1]), Number(match[2])];
  return hours ? `${hours}:${match[2]}:${match[3]}` : `${minutes}:${match[3]}`;
}

/** The card's texts, moments, days, and numbers, for one language and one time zone. */
class Locale {
  constructor(context = {}) {
    const wanted = [context.locale, ...navigator.languages].filter((tag) => typeof tag === "string");
    const tag = wanted.find((tag) => /^(en|es)\b/i.test(tag)) ?? "en";
    this.language = tag.slice(0, 2).toLowerCase();
    this.tag = Intl.DateTimeFormat.supportedLocalesOf([tag.replaceAll("_", "-")])[0] ?? this.language;
    this.timeZone = knownTimeZone(context.timeZone);
  }

  text(key, values = {}) {
    const [english, spanish] = TEXTS[key];
    return (this.language === "es" ? spanish : english).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "").replaceAll("m..", "m.");
  }

  /** `text` in the singular or plural, as `count` needs. */
  plural(key, count, values = {}) {
    const form = new Intl.PluralRules(this.tag).select(count) === "one" ? "one" : "other";
    return this.text(`${key}.${form}`, { count: this.number(count), ...values });
  }

  number(value) {
    return new Intl.NumberFormat(this.tag, { maximumFractionDigits: 1 }).format(value);
  }

  /** A moment (ISO 8601) by the reader's clock, as "Sun, Jan 25, 10:30 AM"; "" for anything else. */
  moment(iso) {
    const parts = { weekday: "short", day: "numeric", month: "short", hour: "numeric", minute: "2-digit" };
    return this.#format(iso, { ...parts, ...this.#year(iso) });
  }

  /** The day of a moment (ISO 8601) as "Feb 1, 2026", in UTC as KallyAI's billing. */
  billingDay(iso) {
    return this.#format(iso, { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  }

  /** The day of a moment (ISO 8601) as "Feb 1", in UTC as KallyAI's billing; with the year if that is not this year. */
  shortBillingDay(iso) {
    return this.#format(iso, { day: "numeric", month: "short", timeZone: "UTC", ...this.#year(iso) });
  }

  /** The time of day in an ISO 8601 moment, by the clock there: "10:30 AM". */
  clock(iso) {
    const time = /T(\d\d:\d\d)/.exec(iso ?? "");
    return time ? this.#format(`1970-01-01T${time[1]}:00Z`, { hour: "numeric", minute: "2-digit", timeZone: "UTC" }) : "";
  }

  /** A date and a time without a zone, "2026-01-28" and "19:00", as "Wed, Jan 28, 7:00 PM". */
  dateTime(date, time) {
    return [this.date(date), this.timeOfDay(time)].join(", ");
  }

  /** A time of day, "19:00", as "7:00 PM"; "" without one, and any other text on one line. */
  timeOfDay(time) {
    return this.clock(`T${String(time ?? "").padStart(5, "0")}`) || oneLine(time, 20);
  }

  /** A date without a time, "2026-01-28", as "Wed, Jan 28"; with the year if that is not this year. */
  date(text) {
    if (!/^\d{4}-\d\d-\d\d$/.test(text ?? "")) return oneLine(text, 40);
    const [moment, day] = [`${text}T00:00:00Z`, { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" }];
    return this.#format(moment, { ...day, ...this.#year(`${text}T12:00:00`) }) || text;
  }

  /** A date without a time, "2026-01-28", as "Jan 28". */
  shortDate(text) {
    return this.#format(`${text}T00:00:00Z`, { day: "numeric", month: "short", timeZone: "UTC" });
  }

  /** Whether the reader's clock shows the same time as `iso` in `zone` (IANA). True for a day, and for an unknown zone. */
  isOwnClock(iso, zone) {
    const time = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)/.exec(iso ?? "");
    if (!time || !knownTimeZone(zone)) return true;
    const moment = new Date(iso); // without an offset it is read in the browser's zone, which is near enough
    const clock = (timeZone) => new Intl.DateTimeFormat("en", { timeZone, dateStyle: "short", timeStyle: "short" }).format(moment);
    return clock(zone) === clock(this.timeZone);
  }

  /** The name of a time zone (IANA) for `time_of`: "New York" in English, the browser's "hora oriental" in Spanish. */
  placeOf(zone) {
    if (this.language === "en") return oneLine(String(zone).split("/").at(-1), 40).replaceAll("_", " ");
    const format = new Intl.DateTimeFormat(this.tag, { timeZone: zone, timeZoneName: "longGeneric" });
    return format.formatToParts().find((part) => part.type === "timeZoneName").value;
  }

  #year(iso) {
    return new Date(iso).getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" };
  }

  #format(iso, options) {
    const date = new Date(iso ?? NaN);
    if (Number.isNaN(date.getTime())) return "";
    return new Intl.DateTimeFormat(this.tag, { timeZone: this.timeZone, ...options }).format(date);
  }
}

/** `zone` if this browser knows it, else undefined, which means the browser's own. */
function knownTimeZone(zone) {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

let locale = new Locale();
