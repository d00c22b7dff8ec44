"use strict";
// Small texts kept in the browser. Users may forbid it or it may be full, and the page must work all the same.

/** The text under `key` in "localStorage" or "sessionStorage", or null. */
function recall(storage, key) {
  try {
    return self[storage].getItem(key);
  } catch {
    return null;
  }
}

/** Keeps a text; gives the error if that failed, otherwise null. */
function keep(storage, key, text) {
  try {
    self[storage].setItem(key, text);
    return null;
  } catch (error) {
    return error;
  }
}

/** The JSON value under `key`, or null if there is none or it is not JSON. */
function recallValue(storage, key) {
  try {
    return JSON.parse(recall(storage, key));
  } catch {
    return null;
  }
}

/** Takes a text away. */
function forget(storage, key) {
  try {
    self[storage].removeItem(key);
  } catch { /* nothing is kept there */ }
}

/** The keys of all texts that are kept. */
function storedKeys(storage) {
  try {
    return Object.keys(self[storage]);
  } catch {
    return [];
  }
}
