// The page that asks for the token: what was typed goes to /login, which answers with a cookie.
const form = document.getElementById("login");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = document.getElementById("token").value.trim();
  const place = document.getElementById("answer");
  try {
    const answer = await fetch("/login", { method: "POST", body: JSON.stringify({ token }) });
    if (answer.ok) location.replace("/");
    else place.textContent = (await answer.json()).error;
  } catch {
    place.textContent = "the device does not answer; is it on, and in this network?";
  }
});
// who came by a link on another page has the cookie by now, but it was not sent: a browser sends it when this page asks
fetch("/api/teach").then((answer) => answer.ok && location.replace("/"));
