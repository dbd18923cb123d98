// Some providers put their answer behind "#", which is not sent to the server: send it.
const answer = location.hash.slice(1);
location.replace(`${location.pathname}?${answer.includes("=") ? answer : "fragment="}`);
