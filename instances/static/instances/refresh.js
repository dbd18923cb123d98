// Reload the part of a page that has data-refresh-seconds, and the whole page once the attribute is gone.
const live = document.querySelector("[data-refresh-seconds]");

const later = () => setTimeout(refresh, 1000 * live.dataset.refreshSeconds);

async function refresh() {
  try {
    const answer = await fetch(location.href);
    if (!answer.ok || answer.redirected) return later();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(live.id);
    if (!fresh || !fresh.dataset.refreshSeconds) return location.reload();
    live.replaceChildren(...fresh.childNodes);
  } catch {
    // The program may be restarting.
  }
  later();
}

if (live) later();
