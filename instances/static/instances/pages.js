// Times in the reader's own zone, a button that copies, and forms that show that they are at work.
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  time.textContent = at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}
for (const button of document.querySelectorAll("[data-copies]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copies);
    field.select();
    await navigator.clipboard.writeText(field.value);
    button.textContent = button.dataset.done;
  });
}
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.ariaBusy === "true") return event.preventDefault();
    form.ariaBusy = "true";
    const busy = event.submitter?.dataset.busy;
    if (!busy) return;
    const status = document.createElement("p");
    status.className = "working";
    status.role = "status";
    form.append(status);
    // Only what changes in a status that is there already is read out.
    setTimeout(() => (status.textContent = busy));
  });
}
// A page that the browser kept, and shows again on the way back.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[aria-busy]")) form.ariaBusy = null;
  for (const status of document.querySelectorAll(".working")) status.remove();
});
// After a refusal one goes on typing where something is wrong.
document.querySelector(".wrong :is(input, select, textarea)")?.focus();
