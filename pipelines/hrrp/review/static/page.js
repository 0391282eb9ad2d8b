// The what-if answers while one types: the same address is asked again and its answer block takes the old one's place.
// Without this script the form is sent and the page loads anew; nothing else depends on it.
"use strict";
(() => {
  const form = document.getElementById("scenario");
  const answer = document.getElementById("answer");
  if (!form || !answer) return;
  const PAUSE = 250;
  let waiting = 0;
  let asked = null;

  const address = () => {
    const fields = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      if (String(value).trim() !== "") fields.append(name, value);
    }
    const query = fields.toString();
    return form.getAttribute("action") + (query ? "?" + query : "");
  };

  const ask = async () => {
    const target = address();
    if (asked) asked.abort();
    asked = new AbortController();
    answer.classList.add("waiting");
    try {
      const response = await fetch(target, { signal: asked.signal, credentials: "same-origin" });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const fresh = page.getElementById("answer");
      if (!fresh) { window.location.assign(target); return; }
      answer.replaceChildren(...fresh.childNodes);
      window.history.replaceState(null, "", target);
      const links = document.querySelector(".buttons");
      const freshLinks = page.querySelector(".buttons");
      if (links && freshLinks && !links.contains(document.activeElement)) links.replaceChildren(...freshLinks.childNodes);
      answer.classList.remove("waiting");
    } catch (error) {
      if (error.name !== "AbortError") answer.classList.remove("waiting");
    }
  };

  form.addEventListener("input", () => {
    window.clearTimeout(waiting);
    if (form.checkValidity()) waiting = window.setTimeout(ask, PAUSE);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    window.clearTimeout(waiting);
    ask();
  });
})();
