// Show that a submitted form is in progress, and do not send it twice. Forms that start a download (data-stays) are left alone.
addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || "stays" in form.dataset) return;
  if (form.ariaBusy === "true") return event.preventDefault();
  form.ariaBusy = "true";
  const busy = event.submitter?.dataset.busy ?? form.dataset.busy;
  if (!busy) return;
  const status = document.createElement("p");
  status.className = "im-working";
  status.role = "status";
  form.append(status);
  // Screen readers announce only changes of a status that already exists.
  setTimeout(() => (status.textContent = busy));
});
// Reset a page that the browser restores on "back".
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[aria-busy]")) form.ariaBusy = null;
  for (const status of document.querySelectorAll(".im-working")) status.remove();
});
