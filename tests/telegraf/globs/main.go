// Globs writes what github.com/gobwas/glob, which Telegraf's filters are made of, says of patterns and texts. A line of its
// table has these columns, with a tab between them:
//
//   - the pattern;
//   - the text: bytes that are not printable ASCII or part of a printable character are written %FF, as is the percent sign;
//   - what the library answers: true, false, or refused, where it does not read the pattern (then the text is empty), or
//     panic, where it panics;
//   - what its documentation says, where that is something else: the pattern as the library itself parses it, as a regular
//     expression. It happens where the library is wrong, as with `é?` and "éa" (false), or `ab*ba` and "aba" (true).
//
// The table is the same in every run.
package main

import (
	"bufio"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gobwas/glob"
	"github.com/gobwas/glob/syntax"
	"github.com/gobwas/glob/syntax/ast"
)

// How many patterns are made up.
const madeUp = 900

// How many texts each has.
const textsEach = 4

// What patterns are put together from.
var pieces = []string{
	"a", "b", "c", "ab", "cpu", "usage_", "é", "日", "-", "_", ".", "/", "!", ",", "]", "}", "^", " ",
	"*", "*", "*", "?", "?", "**", "***",
	"[abc]", "[a-c]", "[!a]", "[!ab]", "[!a-c]", "[é日]", "[à-ö]", "[!é]", "[abc-z]", "[a\\-c]", "[\\]]", "[^a]", "[{]", "[,]",
	"{a,b}", "{a,ab}", "{,a}", "{a*,b}", "{a,b{c,é}}", "{[a,b],c}", "{?,日*}", "{a\\,b,c}",
	"\\*", "\\?", "\\[", "\\{", "\\}", "\\\\", "\\a", "\\é",
}

// Pieces that may make a pattern one that is refused.
var odd = []string{"[", "[]", "[!]", "{", "}", "\\", "[a-", "[a-]", "[c-a]", "[a-c0-9]", "[!", "[é-a]", "[]-a]", "[]a]", "[!!]", "[--a]", "[-a]"}

// What people write.
var written = map[string][]string{
	"":                   {"", "a"},
	"cpu":                {"cpu", "cpu0", "acpu", "CPU"},
	"cpu*":               {"cpu", "cpu0", "acpu", "cpué"},
	"*":                  {"", "a", "é", "a b", "%"},
	"**":                 {"", "a", "a/b"},
	"?":                  {"", "a", "é", "日", "ab", "\xff", "\xc3", "\xff\xff"},
	"??":                 {"é", "日", "aé", "\xc3(", "\xe6\x97"},
	"caf?":               {"café", "cafe", "caf", "cafés", "caf\xff"},
	"caf[éè]":            {"café", "cafè", "cafe", "caf\xc3"},
	"?té":                {"été", "até", "té"},
	"*é":                 {"é", "café", "e", "éa"},
	"*??":                {"日", "日本", "é", "aé", "\xff\xff"},
	"日*本":                {"日本", "日x本", "日", "本日"},
	"[!a]":               {"", "a", "é", "b", "\xff"},
	"[!é]":               {"é", "e", "\xc3"},
	"[à-ü]":              {"é", "e", "ÿ"},
	"cpu[0-3]":           {"cpu2", "cpu4", "cpu"},
	"cpu[!0-3]":          {"cpu2", "cpu4", "cpu"},
	"cpu[013]":           {"cpu1", "cpu2"},
	"{cpu,mem}":          {"cpu", "mem", "disk", "cpu,mem"},
	"{cpu,mem":           {"cpu", "mem", "{cpu"},
	"usage_{user,sys*}":  {"usage_system", "usage_idle", "usage_user", "usage_users"},
	"{a,b{c,d}}e":        {"bde", "be", "ae"},
	"*_{idle,guest*}":    {"usage_idle", "usage_guest_nice", "usage_user"},
	"cpu{,-total}":       {"cpu", "cpu-total", "cpu-"},
	"a/b*":               {"a/b/c", "b"},
	"a**b":               {"axxb", "ax", "ab"},
	"ab*ba":              {"aba", "abba", "abxba"},
	"a\\*b":              {"a*b", "axb"},
	"a\\":                {"a", "a\\"},
	"\\":                 {"", "\\"},
	"a}":                 {"a}", "a"},
	"a]":                 {"a]", "a"},
	"a,b":                {"a,b", "a"},
	"[a,b]":              {"a", ",", "b"},
	"{[{],[}]}":          {"{", "}", "a"},
	"[abc-z]":            {"a", "-", "z", "m"},
	"[a\\-c]":            {"a", "-", "b", "c"},
	"[\\a-c]":            {"a", "-", "b", "c", "\\"},
	"[^a]":               {"a", "^", "b"},
	"[!!]":               {"!", "a"},
	"[--a]":              {"-", "a", "A", "b"},
	"[]-a]":              {"]", "^", "a", "b"},
	"[-a]":               {"-", "a", "b"},
	"[[]":                {"["},
	"[]":                 {""},
	"[":                  {""},
	"[abc":               {""},
	"[a-":                {""},
	"[a-]":               {""},
	"[a-c":               {""},
	"[a-c0-9]":           {""},
	"[z-a]":              {""},
	"[!]":                {""},
	"[]a]":               {""},
	"[a\\]":              {""},
	"{a,[b}":             {""},
	"disk.*":             {"disk.used", "diskxused"},
	"/var/lib/**/[a-f]?": {"/var/lib/x/a1", "/var/lib/a1"},
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for _, pattern := range slices.Sorted(maps.Keys(written)) {
		write(out, pattern, written[pattern])
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range madeUp {
		var pattern string
		for range 1 + random.IntN(4) {
			pattern += pieces[random.IntN(len(pieces))]
		}
		if random.IntN(6) == 0 {
			pattern += odd[random.IntN(len(odd))]
			if random.IntN(2) == 0 {
				pattern += pieces[random.IntN(len(pieces))]
			}
		}
		if _, ok := written[pattern]; ok {
			continue
		}
		written[pattern] = nil
		var texts []string
		if tree, err := syntax.Parse(pattern); err == nil {
			for at := range textsEach {
				text := example(random, tree)
				if at%2 == 1 {
					text = changed(random, text)
				}
				texts = append(texts, text)
			}
		}
		write(out, pattern, texts)
	}
}

func write(out *bufio.Writer, pattern string, texts []string) {
	compiled, err := glob.Compile(pattern)
	if err != nil {
		fmt.Fprintf(out, "%s\t\trefused\n", pattern)
		return
	}
	tree, err := syntax.Parse(pattern)
	if err != nil {
		panic(err)
	}
	documented := regexp.MustCompile("^(?s:" + meaning(tree) + ")$")
	seen := map[string]bool{}
	for _, text := range texts {
		if seen[text] {
			continue
		}
		seen[text] = true
		answer := answer(compiled, text)
		right := fmt.Sprint(documented.MatchString(text))
		fmt.Fprintf(out, "%s\t%s\t%s", pattern, printable(text), answer)
		if answer != right {
			fmt.Fprintf(out, "\t%s", right)
		}
		fmt.Fprintln(out)
	}
}

func answer(compiled glob.Glob, text string) (answer string) {
	defer func() {
		if recover() != nil {
			answer = "panic"
		}
	}()
	return fmt.Sprint(compiled.Match(text))
}

func printable(text string) string {
	var out strings.Builder
	for len(text) > 0 {
		char, length := utf8.DecodeRuneInString(text)
		if char == '%' || char == utf8.RuneError || !unicode.IsPrint(char) {
			for at := range length {
				fmt.Fprintf(&out, "%%%02X", text[at])
			}
		} else {
			out.WriteRune(char)
		}
		text = text[length:]
	}
	return out.String()
}

// The regular expression that says the same.
func meaning(node *ast.Node) string {
	var children []string
	for _, child := range node.Children {
		children = append(children, meaning(child))
	}
	switch node.Kind {
	case ast.KindPattern:
		return strings.Join(children, "")
	case ast.KindAnyOf:
		return "(?:" + strings.Join(children, "|") + ")"
	case ast.KindAny, ast.KindSuper:
		return ".*"
	case ast.KindSingle:
		return "."
	case ast.KindText:
		return regexp.QuoteMeta(node.Value.(ast.Text).Text)
	case ast.KindRange:
		members := node.Value.(ast.Range)
		return class(members.Not, fmt.Sprintf(`\x{%x}-\x{%x}`, members.Lo, members.Hi))
	case ast.KindList:
		members := node.Value.(ast.List)
		var chars string
		for _, char := range members.Chars {
			chars += fmt.Sprintf(`\x{%x}`, char)
		}
		return class(members.Not, chars)
	}
	panic(fmt.Sprint("no such kind of node: ", node.Kind))
}

func class(not bool, members string) string {
	if not {
		return "[^" + members + "]"
	}
	return "[" + members + "]"
}

// A text that the pattern should match.
func example(random *rand.Rand, node *ast.Node) string {
	anything := []string{"a", "b", "x", "_", "é", "日", "*", ",", "\xff"}
	switch node.Kind {
	case ast.KindPattern:
		var text string
		for _, child := range node.Children {
			text += example(random, child)
		}
		return text
	case ast.KindAnyOf:
		return example(random, node.Children[random.IntN(len(node.Children))])
	case ast.KindAny, ast.KindSuper:
		var text string
		for range random.IntN(3) {
			text += anything[random.IntN(len(anything))]
		}
		return text
	case ast.KindText:
		return node.Value.(ast.Text).Text
	case ast.KindRange:
		if members := node.Value.(ast.Range); !members.Not {
			return string(members.Lo + random.Int32N(members.Hi-members.Lo+1))
		}
	case ast.KindList:
		if members := node.Value.(ast.List); !members.Not {
			chars := []rune(members.Chars)
			return string(chars[random.IntN(len(chars))])
		}
	}
	return anything[random.IntN(len(anything))]
}

// A text that is much like another.
func changed(random *rand.Rand, text string) string {
	other := []string{"a", "b", "x", "é", "-", "]", "}", ",", "\xc3"}[random.IntN(9)]
	if text == "" {
		return other
	}
	at := random.IntN(len(text))
	switch random.IntN(3) {
	case 0:
		return text[:at] + text[at+1:]
	case 1:
		return text[:at] + other + text[at+1:]
	default:
		return text[:at] + other + text[at:]
	}
}
