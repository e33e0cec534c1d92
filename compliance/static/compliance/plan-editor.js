// Marks the boxes beside which the server's answer put a line. Without this script the lines are there all the same.
"use strict";
document.addEventListener("htmx:afterSettle", () => {
  for (const errors of document.querySelectorAll("#editor .errors")) {
    const box = document.getElementById(errors.id.slice("e-".length));
    if (!box || !box.matches("input, select, textarea")) continue;
    if (errors.childElementCount) box.setAttribute("aria-invalid", "true");
    else box.removeAttribute("aria-invalid");
  }
});
