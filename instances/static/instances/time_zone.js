// Tells the server in which time zone the reader is; from the next page on, times are said in it.
const secure = location.protocol === "https:" ? "; secure" : "";
document.cookie = `time_zone=${Intl.DateTimeFormat().resolvedOptions().timeZone}; path=/; max-age=31536000; samesite=lax${secure}`;
