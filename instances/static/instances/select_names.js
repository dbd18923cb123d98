// Name the boxes of select2 by their labels, which it leaves without an accessible name. It adds them late, and in
// forms that appear later.
const nameSelects = () => {
  for (const box of document.querySelectorAll(".select2-selection:not([data-named])")) {
    box.dataset.named = "";
    const select = box.closest(".select2-container").previousElementSibling;
    const label = select && document.querySelector(`label[for="${select.id}"]`);
    if (!label) continue;
    label.id ||= `${select.id}-label`;
    const value = box.querySelector(".select2-selection__rendered");
    box.setAttribute("aria-labelledby", `${label.id} ${value.id}`);
    value.setAttribute("aria-labelledby", label.id);
  }
};
// Give the hints of Django's two-column selects a role, without which they may not have a label.
const nameHints = () => {
  for (const hint of document.querySelectorAll(".help-tooltip[aria-label]:not([role])")) hint.role = "img";
};
new MutationObserver(nameHints).observe(document, { childList: true, subtree: true });
new MutationObserver(nameSelects).observe(document, { childList: true, subtree: true });
