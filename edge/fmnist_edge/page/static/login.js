// The login page. It sends the token to /login, which sets a cookie.
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
// after a link from another site, the browser does not send its cookie (SameSite); it does with this page's own request
fetch("/api/teach").then((answer) => answer.ok && location.replace("/"));
