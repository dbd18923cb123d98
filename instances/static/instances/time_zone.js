// Tell the server the reader's time zone, which the next pages use for their times.
const secure = location.protocol === "https:" ? "; secure" : "";
document.cookie = `time_zone=${Intl.DateTimeFormat().resolvedOptions().timeZone}; path=/; max-age=31536000; samesite=lax${secure}`;
