"use strict";
// Work that waits until its element comes near the visible part of the page: long lists are filled as they are read.

const nearTasks = new WeakMap();
const nearObserver = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) {
    if (!isIntersecting) continue;
    nearObserver.unobserve(target);
    callNear(target);
  }
}, { rootMargin: "600px" });

/** What was left before it was done is done when its element is seen again. */
async function callNear(target) {
  try {
    await nearTasks.get(target)();
  } catch (error) {
    if (!isLeft(error)) throw error;
    nearObserver.observe(target);
  }
}

/** Whether something was not done because the view that wanted it was left. */
const isLeft = ({ name }) => name === "AbortError";

/** What to do about an error, unless it says that the view was left. */
const unlessLeft = (act) => (error) => {
  if (isLeft(error)) throw error;
  return act(error);
};

/** Calls `task` once, when `target` comes near; gives `target`. */
function whenNear(target, task) {
  nearTasks.set(target, task);
  nearObserver.observe(target);
  return target;
}
