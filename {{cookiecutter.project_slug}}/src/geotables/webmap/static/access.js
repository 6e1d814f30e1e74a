// The key that the service lets its readers in for, where it asks them; the browser forgets it with the tab.

export function access() {
  const key = sessionStorage.getItem("key");
  return key ? { Authorization: `Bearer ${key}` } : {};
}

// For MapLibre: the key is for the service's own addresses.
export function withAccess(address) {
  const isOurs = new URL(address, document.baseURI).origin === location.origin;
  return { url: address, headers: isOurs ? access() : {} };
}
