"use strict";
// Work that waits until its element comes near the visible part of the page: long lists are filled as they are read.

const nearTasks = new WeakMap();
const nearObserver = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) {
    if (!isIntersecting) continue;
    nearObserver.unobserve(target);
    nearTasks.get(target)();
  }
}, { rootMargin: "600px" });

/** Calls `task` once, when `target` comes near; gives `target`. */
function whenNear(target, task) {
  nearTasks.set(target, task);
  nearObserver.observe(target);
  return target;
}
