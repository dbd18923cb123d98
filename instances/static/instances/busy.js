// A form that is sent shows that it is at work, and is not sent twice; not one that a download answers (data-stays).
addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || "stays" in form.dataset) return;
  if (form.ariaBusy === "true") return event.preventDefault();
  form.ariaBusy = "true";
  const busy = event.submitter?.dataset.busy ?? form.dataset.busy;
  if (!busy) return;
  const status = document.createElement("p");
  status.className = "working";
  status.role = "status";
  form.append(status);
  // Only what changes in a status that is there already is read out.
  setTimeout(() => (status.textContent = busy));
});
// A page that the browser kept, and shows again on the way back.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[aria-busy]")) form.ariaBusy = null;
  for (const status of document.querySelectorAll(".working")) status.remove();
});
