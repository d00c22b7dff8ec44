"use strict";
// What was answered, kept in the browser under the digest of the set; it may be forbidden or full, and the page must
// work all the same.

const answerNames = ["yes", "no", "unsure"];

class Answers {
  /** `pictures` are the ids of the set's pictures. */
  constructor(digest, pictures) {
    Object.assign(this, { digest, pictures, key: `saev-label:${digest}` });
    this.read();
  }

  /** Takes what the browser has kept, in the order in which it was answered. */
  read() {
    this.given = new Map();
    try {
      for (const [picture, answer, seconds] of JSON.parse(localStorage.getItem(this.key)) ?? []) {
        const isOurs = this.pictures.includes(picture) && answerNames.includes(answer) && Number.isFinite(seconds) && seconds >= 0;
        if (isOurs) this.given.set(picture, { answer, seconds });
      }
    } catch {
      // Nothing is kept, or not by us.
    }
  }

  /** Keeps all answers; gives what is to be said if that failed, otherwise an empty text. */
  keep() {
    const rows = [...this.given].map(([picture, { answer, seconds }]) => [picture, answer, seconds]);
    try {
      localStorage.setItem(this.key, JSON.stringify(rows));
      return "";
    } catch (error) {
      return `Answers cannot be kept in this browser (${error.message}). Export them before you close this page.`;
    }
  }

  set(picture, answer, seconds) {
    this.given.delete(picture); // the last answer is the last one given, also where it was changed
    this.given.set(picture, { answer, seconds });
  }

  /** Takes the last answer back; gives its picture, undefined where there is none. */
  undo() {
    const last = [...this.given.keys()].at(-1);
    this.given.delete(last);
    return last;
  }

  /** How many answers are `answer`. */
  count(answer) {
    return [...this.given.values()].filter((one) => one.answer === answer).length;
  }

  /** The file that `saev probe test --answers` reads; no value needs quotes. */
  csv() {
    const rows = this.pictures.filter((picture) => this.given.has(picture)).map((picture) => {
      const { answer, seconds } = this.given.get(picture);
      return [picture, answer, seconds, this.digest];
    });
    return [["picture", "answer", "seconds", "set"], ...rows].map((row) => `${row.join(",")}\n`).join("");
  }
}
