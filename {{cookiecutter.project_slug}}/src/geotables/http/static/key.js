// A page that needs a key: it is asked for once in a tab, and then goes with every request for a page.

{
  const ACCEPT = "text/html, */*;q=0.8";
  let isOpening = false;

  const show = (opening, wrong = "") => {
    isOpening = opening;
    const form = document.querySelector("#key");
    if (form) {
      form.hidden = false;
      document.querySelector(".asking").hidden = opening;
      document.querySelector(".opening").hidden = !opening;
      document.querySelector("#key-wrong").textContent = wrong;
    }
  };

  // Opens what the address has, in place of this page.
  const open = async (key) => {
    show(true);
    let response;
    try {
      response = await fetch(location.href, { headers: { Accept: ACCEPT, Authorization: `Bearer ${key}` } });
    } catch {
      show(false, "The service does not answer.");
      return;
    }
    if (response.status === 401) {
      sessionStorage.removeItem("key");
      show(false, "This key is not valid.");
    } else if (response.status === 403) {
      show(false, "This key may not read it.");
    } else {
      sessionStorage.setItem("key", key);
      await (response.headers.get("Content-Type").startsWith("text/html") ? replace(response) : save(response));
    }
  };

  const replace = async (response) => {
    const page = await response.text();
    document.open();
    document.write(page);
    document.close();
  };

  const save = async (response) => {
    const link = document.createElement("a");
    const format = new URLSearchParams(location.search).get("f") ?? "json";
    link.href = URL.createObjectURL(await response.blob());
    link.download = `${location.pathname.split("/").filter((part) => part && part !== "items").pop() ?? "answer"}.${format}`;
    link.click();
    history.back();
  };

  document.addEventListener("DOMContentLoaded", () => {
    // A page that was written over this one has no form.
    const form = document.querySelector("#key");
    show(isOpening);
    form?.addEventListener("submit", (event) => {
      event.preventDefault();
      open(document.querySelector("#key-given").value);
    });
  });

  const known = sessionStorage.getItem("key");
  if (known) {
    open(known);
  }
}
