"use strict";
// The button that switches the theme; without scripts it stays hidden.

{
  const button = document.getElementById("theme");
  Theme.connect(button);
  button.hidden = false;
}
