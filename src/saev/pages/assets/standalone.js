"use strict";
// The switch of the theme in a page of one file; without scripts it stays hidden.

{
  const button = document.getElementById("theme");
  Theme.connect(button);
  button.hidden = false;
}
