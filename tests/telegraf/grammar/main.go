// Grammar tells what Telegraf's own parser of line protocol finds in documents. A document comes on stdin behind its
// length (four bytes, the least first). Its events go to stdout: their number, then of each where its fields end, whether
// it tells its time, that time, and its fields: key, kind (0 number, 1 boolean, 2 text) and value. What the parser refuses
// is left out.
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	parser "github.com/influxdata/telegraf/plugins/parsers/influx"
)

func main() {
	if err := run(); err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, "grammar:", err)
		os.Exit(1)
	}
}

func run() error {
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	event := &event{}
	machine := parser.NewMachine(event)
	event.position = machine.Position
	for {
		var length uint32
		if err := binary.Read(in, binary.LittleEndian, &length); err != nil {
			return err
		}
		document := make([]byte, length)
		if _, err := io.ReadFull(in, document); err != nil {
			return err
		}
		found, count := []byte{}, uint32(0)
		machine.SetData(document)
		for {
			*event = eventAt(event.position)
			err := machine.Next()
			if errors.Is(err, parser.EOF) {
				break
			}
			if err == nil && event.named {
				found, count = event.append(found), count+1
			}
		}
		if _, err := out.Write(append(binary.LittleEndian.AppendUint32(nil, count), found...)); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

// An event as it is read: the parser calls its methods, as it does those of Telegraf's own handler.
type event struct {
	position func() int
	named    bool
	end      int
	timed    byte
	time     int64
	count    uint32
	fields   []byte
}

func eventAt(position func() int) event { return event{position: position} }

func (e *event) append(to []byte) []byte {
	to = binary.LittleEndian.AppendUint32(to, uint32(e.end))
	to = append(to, e.timed)
	to = binary.LittleEndian.AppendUint64(to, uint64(e.time))
	to = binary.LittleEndian.AppendUint32(to, e.count)
	return append(to, e.fields...)
}

func (e *event) add(key []byte, kind byte, value float64, end int) {
	e.fields = binary.LittleEndian.AppendUint32(e.fields, uint32(len(key)))
	e.fields = append(append(e.fields, key...), kind)
	e.fields = binary.LittleEndian.AppendUint64(e.fields, math.Float64bits(value))
	e.count++
	e.end = end
}

func (e *event) SetMeasurement([]byte) error { e.named = true; return nil }
func (*event) AddTag(_, _ []byte) error      { return nil }

func (e *event) AddInt(key, text []byte) error {
	value, err := strconv.ParseInt(strings.TrimSuffix(string(text), "i"), 10, 64)
	e.add(key, 0, float64(value), e.position())
	return err
}

func (e *event) AddUint(key, text []byte) error {
	value, err := strconv.ParseUint(strings.TrimSuffix(string(text), "u"), 10, 64)
	e.add(key, 0, float64(value), e.position())
	return err
}

func (e *event) AddFloat(key, text []byte) error {
	value, err := strconv.ParseFloat(string(text), 64)
	e.add(key, 0, value, e.position())
	return err
}

func (e *event) AddBool(key, text []byte) error {
	value, err := strconv.ParseBool(string(text))
	number := 0.0
	if value {
		number = 1
	}
	e.add(key, 1, number, e.position())
	return err
}

// The parser stands at the closing quote then.
func (e *event) AddString(key, _ []byte) error {
	e.add(key, 2, 0, e.position()+1)
	return nil
}

func (e *event) SetTimestamp(text []byte) error {
	value, err := strconv.ParseInt(string(text), 10, 64)
	e.timed, e.time = 1, value
	return err
}
