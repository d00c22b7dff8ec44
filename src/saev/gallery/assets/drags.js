"use strict";
// Dragging the pointer over a plot and clicking it, told apart.

const leastDrag = 4; // pixels; below it a press is a click

/**
 * Watches the pointer on `target`, in pixels of its own: `onDrag([x0, y0], [x1, y1], event)` while it is dragged, with
 * the same first list as long as it is one drag, and `onClick([x, y])` for a press without a drag. Fingers scroll the page and click.
 */
function watchDrags(target, { onDrag, onClick }) {
  let from = null;
  let isDragging = false;
  const place = (event) => {
    const box = target.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const move = (event) => {
    if (from === null || event.pointerType === "touch") return;
    const to = place(event);
    if (!isDragging && Math.hypot(to[0] - from[0], to[1] - from[1]) < leastDrag) return;
    if (!isDragging) target.setPointerCapture(event.pointerId);
    isDragging = true;
    onDrag(from, to, event);
  };
  target.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault(); // selects no text
    from = place(event);
    isDragging = false;
  });
  target.addEventListener("pointermove", move);
  target.addEventListener("pointerup", (event) => {
    move(event);
    if (from !== null && !isDragging) onClick(from);
    from = null;
  });
  target.addEventListener("pointercancel", () => { from = null; });
}
