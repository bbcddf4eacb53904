// Roundtrip reads line protocol from stdin with Telegraf's own parser and writes it to stdout with Telegraf's own
// serializer: what any Go processor behind processors.execd has to do before it does anything of its own, and what
// Telegraf itself does to read such a processor's output. One goroutine on one thread, so that it compares with a
// pipeline that is one thread as well.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"

	parser "github.com/influxdata/telegraf/plugins/parsers/influx"
	serializer "github.com/influxdata/telegraf/plugins/serializers/influx"
)

// As much as a pipe holds: more would come no sooner.
const buffer = 1 << 16

func main() {
	// The garbage collector's threads included.
	runtime.GOMAXPROCS(1)
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "roundtrip:", err)
		os.Exit(1)
	}
}

func run() error {
	// The same parser as processors.execd uses for its child's output.
	in := parser.NewStreamParser(bufio.NewReaderSize(os.Stdin, buffer))
	out := bufio.NewWriterSize(os.Stdout, buffer)
	lines := &serializer.Serializer{}
	if err := lines.Init(); err != nil {
		return err
	}
	for {
		metric, err := in.Next()
		if errors.Is(err, parser.EOF) {
			return out.Flush()
		}
		if err != nil {
			return err
		}
		line, err := lines.Serialize(metric)
		if err != nil {
			return err
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
}
