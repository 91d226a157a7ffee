// A table as a CSV file (RFC 4180) that a spreadsheet opens as it is meant.

const BYTE_ORDER_MARK = "\ufeff";
/** Without it, Excel takes UTF-8 for something else. */

/** rows: of strings, numbers, booleans, undefined for an empty field. The first has the names of the columns. */
export const toCsv = (rows) => BYTE_ORDER_MARK + rows.map((row) => `${row.map(toField).join(",")}\r\n`).join("");

function toField(value) {
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") return String(value);
  // a file may be named =HYPERLINK(...): spreadsheets would run it (OWASP, CSV injection)
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Lets the browser save a file of this page's making. */
export function save(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
