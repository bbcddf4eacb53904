// The only ways in which this page touches the document. Text from the server is text, never markup.

export const by = (id) => document.getElementById(id);

/// An element with a class and, if given, a text or children.
export function el(tag, cls, ...children) {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  node.append(...children);
  return node;
}

/// Sets the text of an element without children; leaves it alone if it is the same, so that nothing is announced anew.
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/// Sets an attribute, or takes it away with null.
export function mark(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/// Keeps one node per item and fills them anew, so that focus, selection and scrolling survive an update.
/// `make` returns `{node, fill}`.
export function repeat(parent, make) {
  const made = [];
  return (items) => {
    while (made.length > items.length) made.pop().node.remove();
    while (made.length < items.length) {
      const one = make();
      made.push(one);
      parent.append(one.node);
    }
    items.forEach((item, i) => made[i].fill(item));
  };
}
