// Writes a table as a CSV file (RFC 4180) that spreadsheets read correctly.

const BYTE_ORDER_MARK = "\ufeff";
/** Without it, Excel does not recognize UTF-8. */

/** rows: lists of strings, numbers, booleans, or undefined for an empty field. The first holds the column names. */
export const toCsv = (rows) => BYTE_ORDER_MARK + rows.map((row) => `${row.map(toField).join(",")}\r\n`).join("");

function toField(value) {
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") return String(value);
  // a file may be named =HYPERLINK(...): spreadsheets would run it (OWASP, CSV injection)
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Lets the browser save a text as a file. */
export function save(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
